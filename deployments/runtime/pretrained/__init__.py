"""What the models of transformers share: their class, their replica, their spec."""
