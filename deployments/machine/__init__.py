"""What the machine gives a process: its device, its addresses, its time."""
