"""A cache close to the user that fills in the blanks: the contract, three edges that keep it, their origin's side.

contract    header names, Surrogate-Control, partitions      templates  text with slots, compiled for each edge
escaping    a value made safe for its place                  slots      whose values they are: headers and signed tokens
secrets     what an edge and its origin share                origin     header lines, and the purge that goes to all edges
nginx, varnish   write configurations                        asgi       the same edge in Python
"""
