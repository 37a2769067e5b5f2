"""The command line. Every command parses, calls one public function and renders; nothing is decided here.

main      from arguments to an exit code       commands  the list, so that help imports nothing
options   arguments that commands share        live      a run while it goes on
output    tables or one JSON document          <name>    one command, or two that belong together
"""
