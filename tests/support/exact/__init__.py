"""Expected pictures, and how routes are held against them."""
