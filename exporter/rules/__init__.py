"""Rules: from rules files to generated functions, from events to matches.

Path within the room: lexer -> parser -> ast -> loader (lists, macros, exceptions, overrides) ->
fields (catalogue) -> check (types) -> compiler (AST -> Python) -> engine (index, match) -> format
(output templates).
"""
