"""What comes from clients and libraries, and goes to clients: JSON bodies, models of requests, texts of others."""
