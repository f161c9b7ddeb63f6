"""What people hold in front of the wall: scanners and card readers, a module a kind. All they say is untrusted text."""
