"""What requests and answers look like, one file per endpoint. Bytes in, bytes out; no sockets, no caches."""
