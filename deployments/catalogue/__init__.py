"""The catalogue of uploaded images. Only its deployment uses Ray; nothing here uses HTTP."""
