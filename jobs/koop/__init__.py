"""The client of KOOP, who publishes the Dutch government's official publications."""
