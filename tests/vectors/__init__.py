"""Golden vectors of Minglou's formats, shared with the JavaScript verifier, and the deployment they come from."""
