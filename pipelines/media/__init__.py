"""Files: one streaming writer, one lazy reader, and the formats as data."""
