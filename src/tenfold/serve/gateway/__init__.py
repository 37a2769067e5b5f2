"""The front door for requests: protocol, keys, tiers, backends, and a record of every answer."""
