"""What is scrubbed from anything printed, logged, kept or sent, and how untrusted text is made harmless for
the dialect it goes into. Pure."""
