"""What respawnd tells of its services and of itself: the catalogue, the recorder, the exposition."""
