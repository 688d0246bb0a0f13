"""Where jobs run: in this process, or on Ray. The only folder that imports Ray."""
