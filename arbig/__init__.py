"""What all services of the mesh share, and the code generated from the contracts."""
