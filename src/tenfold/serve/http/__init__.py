"""The wire: an HTTP/1.1 server on asyncio.Protocol, with TLS and a bridge to ASGI applications.

It knows bytes and connections, no route, no JSON and no key.
"""
