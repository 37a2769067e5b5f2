"""The embedded engine: one process, one model, many requests at once.

Read in this order: `messages` (what goes in and out), `scheduler` (who runs when), `network` (the weights and
their caches), `sampler`, `detokenize` and `stop` (from numbers to text), `server` (the loop), and
`tenfold.serve.backends.embedded` for the other end of the line.

The life of a request:

1. the gateway's backend frames a `Generate` and writes it to the socket;
2. the server's reader thread decodes it into the inbox;
3. the scheduler makes the prompt into token ids, refuses what does not fit, and queues the rest;
4. when a slot is free the prompt is read into the slot's cache (prefill) and the first token drawn;
5. every step decodes one token for all running rows together, in one pass through the weights;
6. tokens become text once their characters are whole and no stop string may have begun;
7. each step's pieces leave in one frame; the last piece of a request carries usage and engine seconds;
8. a finished or cancelled row gives its slot up within the same step.

Answers do not depend on the company a request keeps: see `network`.
"""
