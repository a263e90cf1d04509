std = "lua54"
max_line_length = 110
files["spec"] = { std = "+busted" }
files["examples/guide/*_spec.lua"] = { std = "+busted" }
files["lua/ctx/types.lua"] = { unused = false }
