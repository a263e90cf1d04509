# ctx: the core in C and the module for Lua 5.4
#
#   make          build/libctx.a and build/ctx/core.so
#   make demo     S1 on the real clock, then every example on the virtual one
#   make test     C tests and specs; the last line is 'N passed, N failed'
#   make lint     layers, names, format, static analysis
#   make clean
#
# demo, test and lint install what they miss, after saying so (.ci/deps).
#
# Variables: CC, CFLAGS, LDFLAGS, WERROR=1, SAN=address or thread, BUILD (the
# folder), LUA (a Lua 5.4), LUA_INCDIR (the folder of its lua.h), LUA_LIB (what links
# it, for the tests), V=1 (shows the commands).

CFLAGS ?= -O2 -g
BUILD  := build$(SAN:%=/%)

# LUA and LUA_INCDIR win; empty, as LuaRocks may give them, they count as not given.
lua    := $(or $(LUA),$(shell sh .ci/deps lua))
incdir := $(or $(LUA_INCDIR),$(shell sh .ci/deps incdir))

# What the recipes run finds this build first, whatever the user's paths are.
export LUA_PATH_5_4  := lua/?.lua;$(or $(LUA_PATH_5_4),$(LUA_PATH),;)
export LUA_CPATH_5_4 := $(BUILD)/?.so;$(or $(LUA_CPATH_5_4),$(LUA_CPATH),;)

warnings := -Wall -Wextra -Wpedantic -Wconversion -Wshadow $(if $(filter 1,$(WERROR)),-Werror)
flags    := -std=c11 $(warnings) -fPIC -fvisibility=hidden -pthread -Icore

ifeq ($(shell uname -s),Darwin)
LIBFLAG ?= -bundle -undefined dynamic_lookup
exports := -Wl,-exported_symbol,_luaopen_ctx_core
else
LIBFLAG ?= -shared
exports := -Wl,--exclude-libs,ALL # what comes from libctx.a stays inside
endif

# A plain lua5.4 loads a sanitized module once the runtime is there before it.
ifneq ($(SAN),)
san_address := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
san_thread  := -fsanitize=thread
runtime_address := libasan.so
runtime_thread  := libtsan.so
$(if $(san_$(SAN)),,$(error SAN=$(SAN): there is address, and thread))
$(if $(findstring clang,$(shell $(CC) --version)),$(error SAN=$(SAN) needs gcc: CC=$(CC) is clang))
flags   += $(san_$(SAN)) -fno-omit-frame-pointer
preload := $(shell $(CC) -print-file-name=$(runtime_$(SAN)))
endif

quiet   := $(if $(V),,@)
compile = $(CC) $(flags) $(CFLAGS) $(CPPFLAGS)

core    := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard core/*.c))
binding := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard lua/binding/*.c))
tests   := $(patsubst spec/core/%.c,$(BUILD)/spec/%,$(wildcard spec/core/*.c))
hosts   := $(patsubst spec/host/%.c,$(BUILD)/host/%,$(wildcard spec/host/*.c))
ifneq ($(filter run-test test-host,$(MAKECMDGOALS)),)
lualib  := $(or $(LUA_LIB),$(shell sh .ci/deps lualib))
hosts   := $(if $(lualib),$(hosts),$(info no library of Lua 5.4 to link: spec/host is skipped; set LUA_LIB))
endif
library := $(BUILD)/libctx.a
module  := $(BUILD)/ctx/core.so

all: $(library) $(module)

$(library): $(core)
	@rm -f $@
	$(quiet)$(AR) rcs $@ $^

$(module): $(binding) $(library)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LIBFLAG) $(exports) $(LDFLAGS) -o $@ $^

$(BUILD)/spec/%: $(BUILD)/obj/spec/core/%.o $(library)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^

# The parts of the binding that need no Lua.
without_lua := $(patsubst %,$(BUILD)/obj/lua/binding/%.o,key mailbox)
$(BUILD)/spec/key $(BUILD)/spec/mailbox: $(without_lua)
$(BUILD)/obj/spec/core/key.o $(BUILD)/obj/spec/core/mailbox.o: private flags += -Ilua/binding

# Programs that hold Lua states of their own, with the module linked in.
host_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard spec/host/*.c))
$(BUILD)/host/%: $(BUILD)/obj/spec/host/%.o $(binding) $(library)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^ $(lualib) -lm -ldl

with_lua := $(filter-out $(without_lua),$(binding)) $(host_objects)
$(with_lua): private flags += -I$(incdir) -Ilua -Ispec/core -Ilua/binding
$(with_lua): | lua-headers

$(BUILD)/obj/%.o: %.c $(BUILD)/flavour
	@mkdir -p $(@D)
	$(if $(quiet),@echo '$(CC) $<')
	$(quiet)$(compile) -MMD -MP -c -o $@ $<

# Another compiler, another flag, another Lua: everything is built anew.
flavour := $(compile) $(LDFLAGS) $(incdir)
$(BUILD)/flavour: FORCE
	@mkdir -p $(@D)
	@echo '$(flavour)' | cmp -s - $@ || echo '$(flavour)' >$@

lua-headers:
	@[ -n '$(incdir)' ] || { echo 'no headers of Lua 5.4: set LUA_INCDIR, or run .ci/deps demo' >&2; exit 1; }

# The sub-make looks for Lua again, once it is there.
demo test lint:
	@sh .ci/deps $@
	@$(MAKE) --no-print-directory run-$@

run-demo: $(module)
	@echo '== examples/work_tree.lua on the real clock'
	@LD_PRELOAD=$(preload) $(lua) examples/work_tree.lua
	@for file in examples/*.lua; do \
	  echo; echo "== $$file on the virtual clock"; \
	  LD_PRELOAD=$(preload) $(lua) -l ctx.virtual $$file || exit; \
	done

run-test: $(module) $(tests) $(hosts)
	@BUILD='$(BUILD)' LUA='$(lua)' PRELOAD='$(preload)' sh spec/run.sh --specs $(tests) $(hosts)

# The C tests alone need no Lua.
test-core: $(tests)
	@BUILD='$(BUILD)' sh spec/run.sh $(tests)

# And those that hold states of Lua.
test-host: $(hosts)
	@BUILD='$(BUILD)' sh spec/run.sh $(hosts)

c_files := $(wildcard core/*.[ch] lua/*.h lua/binding/*.[ch] spec/core/*.[ch] spec/host/*.[ch])

run-lint:
	$(lua) .ci/layers.lua
	$(lua) .ci/names.lua
	luacheck --quiet lua spec examples .ci
	clang-format --dry-run -Werror $(c_files)
	@if command -v clang-tidy >/dev/null; then \
	  echo clang-tidy; mkdir -p $(BUILD); \
	  printf '%s\n' $(filter %.c,$(c_files)) | \
	    xargs -P 2 -I{} clang-tidy --quiet {} -- $(flags) -I$(incdir) -Ilua -Ispec/core -Ilua/binding 2>$(BUILD)/tidy.log || \
	    { cat $(BUILD)/tidy.log; exit 1; }; \
	else \
	  echo 'no clang-tidy here: static analysis is skipped'; \
	fi

# What LuaRocks calls; INST_LIBDIR and INST_LUADIR are its names.
INST_LIBDIR ?= /usr/local/lib/lua/5.4
INST_LUADIR ?= /usr/local/share/lua/5.4

module: $(module)

install-module: $(module)
	mkdir -p '$(INST_LIBDIR)/ctx' '$(INST_LUADIR)/ctx'
	cp $(module) '$(INST_LIBDIR)/ctx'
	cp lua/ctx.lua '$(INST_LUADIR)'
	cp lua/ctx/*.lua '$(INST_LUADIR)/ctx'

clean:
	rm -rf build

-include $(patsubst %.o,%.d,$(core) $(binding) $(host_objects) $(tests:$(BUILD)/spec/%=$(BUILD)/obj/spec/core/%.o))

.PHONY: all demo test lint clean run-demo run-test run-lint test-core test-host module install-module lua-headers FORCE
.DELETE_ON_ERROR:
.SECONDARY:
