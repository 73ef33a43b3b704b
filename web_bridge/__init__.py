"""The browser's bridge: streams of the mesh become WebSocket messages, and it serves the page."""
