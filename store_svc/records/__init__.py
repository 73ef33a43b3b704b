"""What is remembered of trading, asked over gRPC."""
