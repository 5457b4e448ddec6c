"""Load as it comes in life: people with a day (Locust), rates beyond theirs (open loop), a peak day. See README.md."""
