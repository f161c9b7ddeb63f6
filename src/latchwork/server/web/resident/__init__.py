"""The recipient's page: one parcel, by its secret link."""
