"""The loop of channels: a channel is ready when its type is here and takes what is written; deliveries wait for it."""
