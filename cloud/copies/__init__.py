"""Independent copies: what the cloud hands to mirrors, and what they acknowledge, relayed to the gateways as mail."""
