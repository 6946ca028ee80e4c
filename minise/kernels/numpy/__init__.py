"""The backend `numpy`: the reference's arithmetic on blocks of images that stay in the cache."""
