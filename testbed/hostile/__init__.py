"""Files and bodies that cost their reader much time or memory. All are built in code."""
