# ctx: the core in C and the module for Lua 5.4
#
#   make          build/libctx.a and build/ctx/core.so
#   make demo     S1 on the real clock, then every example on the virtual one
#   make test     C tests and specs; the last line is 'N passed, N failed'
#   make examples the examples in C, into build/examples
#   make bench-latency  a table of docs/latency.md
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
jumps_thread := $(abspath $(BUILD)/longjmp.so)
jumps   := $(jumps_$(SAN))
preload := $(shell $(CC) -print-file-name=$(runtime_$(SAN)))$(jumps:%=:%)
endif

quiet   := $(if $(V),,@)
compile = $(CC) $(flags) $(CFLAGS) $(CPPFLAGS)

core    := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard core/*.c))
binding := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard lua/binding/*.c))
tests   := $(patsubst spec/core/%.c,$(BUILD)/spec/%,$(wildcard spec/core/*.c))
hosts   := $(patsubst spec/host/%.c,$(BUILD)/host/%,$(wildcard spec/host/*.c))
ifneq ($(filter run-test,$(MAKECMDGOALS)),)
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

# Programs about a whole process: its threads, its forks, its end.
process := $(patsubst spec/process/%.c,$(BUILD)/process/%,$(wildcard spec/process/*.c))
process_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard spec/process/*.c))
$(process_objects): private flags += -Ispec/core
$(BUILD)/process/%: $(BUILD)/obj/spec/process/%.o $(library)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^ -ldl

# The library as a program loads it by dlopen.
$(BUILD)/process/unload: | $(BUILD)/process/libctx.so
$(BUILD)/process/libctx.so: $(core)
	@mkdir -p $(@D)
	$(quiet)$(compile) '-DCTX_API=__attribute__((visibility("default")))' -shared -Wl,-z,nodelete $(LDFLAGS) -o $@ \
	  $(wildcard core/*.c)

# The one part of the binding that needs no Lua.
mailbox := $(BUILD)/obj/lua/binding/mailbox.o
$(BUILD)/spec/mailbox: $(mailbox)
$(BUILD)/obj/spec/core/mailbox.o: private flags += -Ilua/binding

# Programs that hold Lua states of their own, with the module linked in.
host_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard spec/host/*.c))
$(BUILD)/host/%: $(BUILD)/obj/spec/host/%.o $(binding) $(library) $(jumps)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^ $(lualib) -lm -ldl

$(jumps_thread): spec/longjmp.c $(BUILD)/flavour
	$(quiet)$(CC) -O2 -fPIC -shared -o $@ $<

with_lua := $(filter-out $(mailbox),$(binding)) $(host_objects)
$(with_lua): private flags += -I$(incdir) -Ilua -Ispec/core -Ilua/binding
$(with_lua): | lua-headers

# Examples in C, where what they need is there; and what is measured.
ifneq ($(filter run-test run-demo examples bench-latency,$(MAKECMDGOALS)),)
lualib := $(or $(lualib),$(LUA_LIB),$(shell sh .ci/deps lualib))
uv     := $(shell pkg-config --libs libuv 2>/dev/null)
demos  := $(if $(lualib),embed,$(info no library of Lua 5.4 to link: examples/embed.c is skipped; set LUA_LIB)) epoll
shown  := $(demos:%=$(BUILD)/examples/%) \
          $(if $(uv),$(BUILD)/examples/libuv,$(info no libuv here: examples/libuv.c is skipped))
endif
c_programs := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard examples/*.c bench/*.c))
# What holds Lua states; without a Lua, bench/latency does without.
$(BUILD)/obj/examples/embed.o $(BUILD)/obj/bench/latency.o: private flags += \
  $(if $(lualib),-DWITH_LUA -Ilua -I$(incdir))
$(BUILD)/examples/embed $(BUILD)/bench/latency: $(if $(lualib),$(binding))
$(BUILD)/examples/embed $(BUILD)/bench/latency: private libs = $(lualib) -lm -ldl
$(BUILD)/examples/libuv: private libs = $(uv)
link_c = $(quiet)$(compile) $(LDFLAGS) -o $@ $(filter-out $(library),$^) $(library) $(libs)
$(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(library)
	@mkdir -p $(@D)
	$(link_c)
$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(library)
	@mkdir -p $(@D)
	$(link_c)

examples: $(shown)

bench-latency: $(BUILD)/bench/latency
	@$< $(SAMPLES)

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

run-demo: $(module) $(shown) $(jumps)
	@echo '== examples/work_tree.lua on the real clock'
	@LD_PRELOAD=$(preload) $(lua) examples/work_tree.lua
	@for file in examples/*.lua; do \
	  echo; echo "== $$file on the virtual clock"; \
	  LD_PRELOAD=$(preload) $(lua) -l ctx.virtual $$file || exit; \
	done
	@for name in $(demos); do echo; echo "== examples/$$name.c"; $(BUILD)/examples/$$name || exit; done

run-test: $(module) $(tests) $(hosts) $(process) $(shown) $(jumps)
	@BUILD='$(BUILD)' SAN='$(SAN)' LUA='$(lua)' PRELOAD='$(preload)' sh spec/run.sh --specs $(tests) $(hosts) $(process)

# The C tests alone need no Lua.
test-core: $(tests) $(process)
	@BUILD='$(BUILD)' SAN='$(SAN)' sh spec/run.sh $(tests) $(process)

c_files := $(wildcard core/*.[ch] lua/*.h lua/binding/*.[ch] spec/*.c spec/core/*.[ch] spec/host/*.[ch] spec/process/*.[ch] \
  examples/*.c bench/*.c)

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

-include $(patsubst %.o,%.d,$(core) $(binding) $(host_objects) $(process_objects) $(c_programs) $(tests:$(BUILD)/spec/%=$(BUILD)/obj/spec/core/%.o))

.PHONY: examples bench-latency all demo test lint clean run-demo run-test run-lint test-core module install-module lua-headers FORCE
.DELETE_ON_ERROR:
.SECONDARY:
