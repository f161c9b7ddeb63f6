"""The touch screen at the wall: pages for recipients, couriers and staff, served by the edge without any network."""
