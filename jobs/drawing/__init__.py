"""What the drawn scenes are made of: one module per family of scenes, and the noise, colours and effects they share."""
