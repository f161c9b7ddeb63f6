"""What people see, shared by kiosk, phone and office: layout, components, tokens and words. Values in, markup out."""
