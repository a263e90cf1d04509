# ctx: the core in C and the module for Lua 5.4
#
#   make          the libraries build/libctx.a and .so, the module build/ctx/core.so,
#                 and build/libctx_lua.a: the same for hosts that embed Lua
#   make libs     what needs no Lua: libctx.a and .so
#   make demo     examples: one on the real clock, all in Lua on the virtual one, two in C
#   make test     C tests and specs; the last line is 'N passed, N failed'
#   make conformance  which tests prove which rule; make test fails when one has none
#   make explore  every schedule of small programs on the core; REPLAY=... runs one
#   make docs     build/docs: the reference of the module (by LDoc) and of the C headers
#   make test-memory  the C tests under the memory sanitizer (clang)
#   make test-asserting  all tests with a Lua 5.4 whose assertions are on, from Debian's sources
#   make test-valgrind  all tests under valgrind: what is freed or was never written is not read
#   make test-machines  the C tests on i686, aarch64 and s390x, by cross compilers and qemu
#   make coverage  which branches of core/ the C tests take (gcc); soak-coverage: of the binding, too
#   make planted  known bugs, one at a time: each is seen by the test or the search named for it
#   make soak-mutation  small faults in core/ that a test must see: FAULTS=300 SEED=n FILE=core/x.c
#   make reliability  the figures of docs/reliability.md, measured anew; takes long; ONLY=word: some
#   make fuzz     what libFuzzer (clang) has found and finds in FUZZ_SECONDS=15 for each target
#   make soak-fuzz  one of them, TARGET=program, wheel, option or script, for SECONDS=60
#   make soak-simulation  random programs beside a model, CALLS=100000000 of them
#   make amalgamation  build/amalgamation/ctx.c and ctx.h: the core as two files
#   make install  the C library, with a header and a file for pkg-config, in PREFIX
#   make install-lua  the module, and libctx_lua.a; uninstall takes back both
#   make test-install  tests of what they install
#   make examples the examples in C, into build/examples
#   make soak-races  a million rounds of each race of two threads
#   make bench    what it costs, beside floors and peers: bench/README.md; QUICK=1, or ONLY=W2
#   make bench-sweep  the workloads that have a size from 10 to 10 million, and pictures of that
#   make bench-deps  installs the peers that Debian has; copas is luarocks'
#   make bench-latency  a table of docs/latency.md
#   make lint     layers, names, format, static analysis
#   make clean
#
# demo, test and lint install what they miss, after saying so (.ci/deps).
#
# Variables: CC, CFLAGS, CPPFLAGS, LDFLAGS, WERROR=1, SAN=address, thread or coverage,
# BUILD (the folder), LUA (a Lua 5.4), LUA_INCDIR (the folder of its lua.h), LUA_LIB
# (what links it, for the tests), RUNNER (a command that runs the tests, as valgrind), V=1 (shows
# the commands); where to install: PREFIX (/usr/local), LIBDIR and INCLUDEDIR (below it), DESTDIR
# (goes before all of them).

CFLAGS ?= -O2 -g
BUILD  := build$(SAN:%=/%)

# LUA and LUA_INCDIR win; empty, as LuaRocks may give them, they count as not given.
lua    := $(or $(LUA),$(shell sh .ci/deps lua))
incdir := $(or $(LUA_INCDIR),$(shell sh .ci/deps incdir))

# What the recipes run finds this build first, whatever the user's paths are.
export LUA_PATH_5_4  := lua/?.lua;$(or $(LUA_PATH_5_4),$(LUA_PATH),;)
export LUA_CPATH_5_4 := $(BUILD)/?.so;$(or $(LUA_CPATH_5_4),$(LUA_CPATH),;)

warnings := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 $(if $(filter 1,$(WERROR)),-Werror)
flags    := -std=c11 $(warnings) -fPIC -fvisibility=hidden -pthread -Icore

# The one place of the version is ctx.h; the soname changes with its first number.
version := $(shell sed -n 's/^.define CTX_VERSION_[A-Z]* //p' core/ctx.h | paste -sd . -)
abi     := $(firstword $(subst ., ,$(version)))

# What a library gives away is what CTX_API marks; the module gives its entry point alone.
# 'localize' does so for objects merged into one: ld -r does it by itself on a Mac.
ifeq ($(shell uname -s),Darwin)
LIBFLAG ?= -bundle -undefined dynamic_lookup
exports := -Wl,-exported_symbol,_luaopen_ctx_core
names   := libctx.$(version).dylib libctx.$(abi).dylib libctx.dylib
shared_flags = -dynamiclib -install_name '$(LIBDIR)/$(soname)' -current_version $(version) -compatibility_version $(version)
localize := true
else
LIBFLAG ?= -shared
exports := -Wl,--version-script=lua/binding/module.map
names   := libctx.so.$(version) libctx.so.$(abi) libctx.so
# Calls among its own functions stay inside, also beside another copy; and it stays in memory
# when a host closes it, because its thread may still run.
shared_flags = -shared -Wl,-soname,$(soname) -Wl,-Bsymbolic-functions -Wl,-z,nodelete -Wl,-z,defs
# The tools that fit the compiler, which may be one for another machine. What is in a group (on an
# i686, how code finds its data) has local names from then on: it is no double of another file's.
tool     = $(shell $(CC) -print-prog-name=$1)
localize := $(or $(OBJCOPY),$(call tool,objcopy)) --localize-hidden --remove-section=.group
ifeq ($(origin AR),default)
AR      := $(call tool,ar)
endif
flags   += -fno-semantic-interposition
endif
soname  := $(word 2,$(names))

# A plain lua5.4 loads a sanitized module once the runtime is there before it.
ifneq ($(SAN),)
san_address := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
san_thread  := -fsanitize=thread
runtime_address := libasan.so
runtime_thread  := libtsan.so
# What ran is written by a program as it ends; .ci/coverage.lua reads that.
san_coverage := --coverage -fprofile-update=atomic
$(if $(san_$(SAN)),,$(error SAN=$(SAN): there is address, thread, and coverage))
$(if $(findstring clang,$(shell $(CC) --version)),$(error SAN=$(SAN) needs gcc: CC=$(CC) is clang))
flags   += $(san_$(SAN)) -fno-omit-frame-pointer
jumps_thread := $(abspath $(BUILD)/longjmp.so)
jumps   := $(jumps_$(SAN))
preload := $(if $(runtime_$(SAN)),$(shell $(CC) -print-file-name=$(runtime_$(SAN)))$(jumps:%=:%))
endif
own_platform := $(BUILD)/obj/core/platform.o $(BUILD)/obj/core/lock.o
ifeq ($(SAN),coverage)
own_platform :=
CFLAGS   = -O0 -g
localize := true # what counts is in every object, and shared; so one platform is
$(BUILD)/obj/spec/%.o: private CPPFLAGS += -D_GNU_SOURCE -include spec/coverage.h
endif

quiet   := $(if $(V),,@)
compile = $(CC) $(flags) $(CFLAGS) $(CPPFLAGS)

core    := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard core/*.c))
binding := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard lua/binding/*.c))
tests   := $(patsubst spec/core/%.c,$(BUILD)/spec/%,$(wildcard spec/core/*.c))
hosts   := $(patsubst spec/host/%.c,$(BUILD)/host/%,$(wildcard spec/host/*.c))
# What libFuzzer has found is run again: the name of the target comes last.
tests   += $(BUILD)/spec/replay-program $(BUILD)/spec/replay-wheel
hosts   += $(BUILD)/host/replay-option $(BUILD)/host/replay-script
ifneq ($(filter run-test test-host,$(MAKECMDGOALS)),)
lualib  := $(or $(LUA_LIB),$(shell sh .ci/deps lualib))
hosts   := $(if $(lualib),$(hosts),$(info no library of Lua 5.4 to link: spec/host is skipped; set LUA_LIB))
endif
$(core) $(binding): private flags += $(if $(SAN),,-Wframe-larger-than=2048) # stacks may be small
library  := $(BUILD)/libctx.a
shared   := $(names:%=$(BUILD)/%)
embedded := $(BUILD)/libctx_lua.a
internal := $(BUILD)/obj/core.a
module   := $(BUILD)/ctx/core.so

all: libs $(module) $(embedded)

# These need no Lua.
libs: $(library) $(shared)

# One object in which only what is exported has a name.
$(library): $(core)
$(embedded): $(binding) $(own_platform)
$(library) $(embedded):
	@rm -f $@
	$(quiet)$(CC) $(CFLAGS) $(if $(findstring -flto,$(CFLAGS)),-flinker-output=nolto-rel) -r -nostdlib -o $(@:.a=.o) $^
	$(quiet)$(localize) $(@:.a=.o)
	$(quiet)$(AR) rcs $@ $(@:.a=.o)

$(firstword $(shared)): $(core)
	$(quiet)$(compile) $(shared_flags) $(LDFLAGS) -o $@ $^

$(wordlist 2,3,$(shared)): $(firstword $(shared))
	@ln -sf $(<F) $@

# With every name that the files of core/ give each other, for the module and the C tests.
$(internal): $(core)
	@rm -f $@
	$(quiet)$(AR) rcs $@ $^

$(module): $(binding) $(internal) lua/binding/module.map
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LIBFLAG) $(exports) $(LDFLAGS) -o $@ $(binding) $(internal)

$(BUILD)/spec/%: $(BUILD)/obj/spec/core/%.o $(internal)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $(filter %.o,$^) $(internal) $(wraps)

# Its own heap goes in front of the library's, where the linker can do that.
ifeq ($(shell uname -s),Darwin)
tests := $(filter-out $(BUILD)/spec/heap,$(tests))
else
$(BUILD)/spec/heap: private wraps := -Wl,--wrap=malloc -Wl,--wrap=free
endif

# Programs about a whole process: its threads, its forks, its end.
process := $(patsubst spec/process/%.c,$(BUILD)/process/%,$(wildcard spec/process/*.c))
process_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard spec/process/*.c))
$(process_objects): private flags += -Ispec/core
$(BUILD)/process/%: $(BUILD)/obj/spec/process/%.o $(library)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^ -ldl $(wraps)

# Where calls of the system fail: the test comes between, where the linker can do that.
ifeq ($(shell uname -s),Linux)
faulty := pthread_atfork pthread_attr_init pthread_attr_setstacksize pthread_sigmask pthread_create timerfd_create \
          epoll_create1 epoll_ctl poll pipe dup2 sigaction malloc calloc read fcntl __fcntl_time64 syscall
$(BUILD)/process/calls $(BUILD)/spec/refusal $(BUILD)/host/system: private wraps := $(faulty:%=-Wl,--wrap=%)
own_clock := clock_gettime __clock_gettime64 timerfd_create pthread_condattr_setclock syscall
$(BUILD)/process/clock: private wraps := $(own_clock:%=-Wl,--wrap=%)
else
process := $(filter-out $(BUILD)/process/calls $(BUILD)/process/clock,$(process))
tests   := $(filter-out $(BUILD)/spec/refusal,$(tests))
hosts   := $(filter-out $(BUILD)/host/system,$(hosts))
endif

# Two ends of a process at once would write what ran at once, too.
ifeq ($(SAN),coverage)
process := $(filter-out $(BUILD)/process/exits,$(process))
endif

# The library as a program loads it by dlopen.
$(BUILD)/process/unload: | $(shared)

# Random programs over ctx.h, beside a model.
simulate := $(BUILD)/sim/simulate
sim_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(addprefix spec/sim/,model.c program.c main.c))
$(simulate): $(sim_objects) $(internal)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^

# What keeps to one thread, and takes long, tells the thread sanitizer nothing.
ifeq ($(SAN),thread)
tests   := $(filter-out $(patsubst %,$(BUILD)/spec/%,heap oom stacks wheel replay-program replay-wheel),$(tests))
hosts   := $(filter-out $(BUILD)/host/hostile $(BUILD)/host/replay-option $(BUILD)/host/replay-script,$(hosts))
simulate :=
endif

# What libFuzzer of clang writes: spec/fuzz/NAME.c reads it. What it finds is kept in build/fuzz/corpus.
TARGET  = program
SECONDS = 60
FUZZ_SECONDS = 15
fuzz_names   := program wheel option script
fuzz_targets := $(fuzz_names:%=$(BUILD)/fuzz/%)
fuzz_flags   := -O1 -g -std=c11 -fsanitize=address,undefined -fno-sanitize-recover=all -pthread -Icore -Ilua -Ispec/sim
fuzz_core    := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(wildcard core/*.c))
fuzz_binding := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(wildcard lua/binding/*.c))
fuzz_parts   := $(fuzz_core) $(fuzz_binding) $(BUILD)/fuzz/obj/spec/sim/model.o $(BUILD)/fuzz/obj/spec/sim/program.o
$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(quiet)clang $(fuzz_flags) -fsanitize=fuzzer-no-link $(incdir:%=-I%) -MMD -MP -c -o $@ $<
$(fuzz_targets): $(BUILD)/fuzz/%: spec/fuzz/%.c spec/fuzz/bytes.h spec/fuzz/state.h $(fuzz_core)
	$(quiet)clang $(fuzz_flags) -fsanitize=fuzzer $(incdir:%=-I%) -MMD -MP -MF $@.d -o $@ $< $(filter %.o,$^) $(fuzz_lua)
$(BUILD)/fuzz/program: $(BUILD)/fuzz/obj/spec/sim/model.o $(BUILD)/fuzz/obj/spec/sim/program.o
$(BUILD)/fuzz/option $(BUILD)/fuzz/script: $(fuzz_binding)
$(BUILD)/fuzz/option $(BUILD)/fuzz/script: fuzz_lua = $(or $(LUA_LIB),$(shell sh .ci/deps lualib)) -lm -ldl

# The same without libFuzzer: only what is known.
replay := $(BUILD)/obj/spec/fuzz/replay.o
$(fuzz_names:%=$(BUILD)/obj/spec/fuzz/%.o): private flags += -Ispec/sim -Ilua -I$(incdir)
$(BUILD)/spec/replay-%: $(BUILD)/obj/spec/fuzz/%.o $(replay) $(internal)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $(filter %.o,$^) $(internal)
$(BUILD)/host/replay-%: $(BUILD)/obj/spec/fuzz/%.o $(replay) $(binding) $(internal) $(jumps)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^ $(lualib) -lm -ldl
$(BUILD)/spec/replay-program: $(patsubst %.c,$(BUILD)/obj/%.o,spec/sim/model.c spec/sim/program.c)

fuzz: $(fuzz_targets)
	@BUILD='$(BUILD)' LUA='$(lua)' sh spec/fuzz/run.sh $(FUZZ_SECONDS) $(fuzz_names)
soak-fuzz: $(BUILD)/fuzz/$(TARGET)
	@BUILD='$(BUILD)' LUA='$(lua)' sh spec/fuzz/run.sh $(SECONDS) $(TARGET)

# The parts of the binding that need no Lua.
without_lua := $(patsubst %,$(BUILD)/obj/lua/binding/%.o,key mailbox poller)
their_tests := key mailbox poller refusal
$(their_tests:%=$(BUILD)/spec/%): $(without_lua)
$(their_tests:%=$(BUILD)/obj/spec/core/%.o): private flags += -Ilua/binding

# Programs that hold Lua states of their own, with the module linked in.
host_objects := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard spec/host/*.c))
$(BUILD)/host/%: $(BUILD)/obj/spec/host/%.o $(binding) $(internal) $(jumps)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^ $(lualib) -lm -ldl $(wraps)

# Where the linker can do that, memory fails in C, too.
ifneq ($(shell uname -s),Darwin)
$(BUILD)/host/memory: private wraps := -Wl,--wrap=malloc -Wl,--wrap=calloc
$(BUILD)/obj/spec/host/memory.o: private flags += -DWRAPS_MALLOC
endif

$(jumps_thread): spec/longjmp.c $(BUILD)/flavour
	$(quiet)$(CC) -O2 -fPIC -shared -o $@ $<

with_lua := $(filter-out $(without_lua),$(binding)) $(host_objects)
$(with_lua): private flags += -I$(incdir) -Ilua -Ispec/core -Ilua/binding
$(with_lua): | lua-headers

# Examples in C, where what they need is there; and what is measured.
ifneq ($(filter run-test run-demo examples bench-latency,$(MAKECMDGOALS)),)
lualib := $(or $(lualib),$(LUA_LIB),$(shell sh .ci/deps lualib))
uv     := $(shell pkg-config --libs libuv 2>/dev/null)
demos  := $(if $(lualib),embed,$(info no library of Lua 5.4 to link: examples/embed.c is skipped; set LUA_LIB)) epoll
measures := $(BUILD)/bench/check $(BUILD)/bench/latency # that B9 and D11 name: they are built
guides := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/guide/*.c))
shown  := $(demos:%=$(BUILD)/examples/%) $(guides) \
          $(if $(uv),$(BUILD)/examples/libuv,$(info no libuv here: examples/libuv.c is skipped))
endif
c_programs := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard examples/*.c examples/guide/*.c bench/*.c))
# What holds Lua states; without a Lua, bench/latency does without.
$(BUILD)/obj/examples/embed.o $(BUILD)/obj/bench/latency.o: private flags += \
  $(if $(lualib),-DWITH_LUA -Ilua -I$(incdir))
$(BUILD)/examples/embed $(BUILD)/bench/latency: $(if $(lualib),$(embedded) $(jumps))
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

# Longer than a gate may take; docs/soak.md has the results.
soak-races: $(BUILD)/process/races
	ROUNDS=1000000 $<

# The benchmarks: floors, ctx, and the peers that are here.
BENCH_ROUNDS = $(if $(QUICK),1,7)
benches := $(patsubst bench/%.c,$(BUILD)/bench/%,$(filter-out bench/latency.c,$(wildcard bench/*.c)))
libs_libev := -lev
libs_libuv := -luv
libs_glib  := $(if $(filter bench bench-sweep,$(MAKECMDGOALS)),$(shell pkg-config --cflags --libs gio-2.0 2>/dev/null))
links = $(shell echo 'int main(void) { return 0; }' | $(CC) -x c - -o /dev/null $(libs_$1) 2>/dev/null && echo $1)
ifneq ($(filter bench bench-sweep,$(MAKECMDGOALS)),)
peers := $(if $(shell command -v go),go) $(call links,libev) $(call links,libuv) $(if $(libs_glib),glib)
endif
$(BUILD)/bench/wheel: $(BUILD)/obj/bench/wheel.o $(internal)
	@mkdir -p $(@D)
	$(quiet)$(compile) $(LDFLAGS) -o $@ $^
$(peers:%=$(BUILD)/bench/%): bench/bench.h
$(BUILD)/bench/go: $(wildcard bench/peers/go/*)
	cd bench/peers/go && GOFLAGS=-mod=mod GOPROXY=off go build -o '$(abspath $@)' .
$(BUILD)/bench/libev $(BUILD)/bench/libuv $(BUILD)/bench/glib: $(BUILD)/bench/%: bench/peers/%.c
	@mkdir -p $(@D)
	$(quiet)$(CC) -O2 -g -o $@ $< $(libs_$*)
ifneq ($(and $(filter bench,$(MAKECMDGOALS)),$(QUICK),$(ONLY)),)
$(error bench: QUICK=1 and ONLY=$(ONLY) do not go together: give one of them)
endif
bench: $(benches) $(peers:%=$(BUILD)/bench/%) $(module)
	@mkdir -p bench/results
	@LUA='$(lua)' $(lua) bench/run.lua $(BUILD) $(BENCH_ROUNDS) $(if $(QUICK),QUICK,'$(ONLY)')
bench-sweep: $(benches) $(peers:%=$(BUILD)/bench/%)
	@mkdir -p bench/results
	@$(lua) bench/plot.lua "$$($(lua) bench/sweep.lua $(BUILD))"
help: # the head of this file
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile
bench-deps:
	@sh .ci/deps bench

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

run-demo: $(module) $(demos:%=$(BUILD)/examples/%) $(jumps)
	@echo '== examples/work_tree.lua on the real clock'
	@LD_PRELOAD=$(preload) $(lua) examples/work_tree.lua
	@for file in examples/*.lua; do \
	  echo; echo "== $$file on the virtual clock"; \
	  LD_PRELOAD=$(preload) $(lua) -l ctx.virtual $$file || exit; \
	done
	@for name in $(demos); do echo; echo "== examples/$$name.c"; $(BUILD)/examples/$$name || exit; done

run-test: $(module) $(tests) $(hosts) $(process) $(simulate) $(shown) $(measures) $(jumps)
	@BUILD='$(BUILD)' SAN='$(SAN)' LUA='$(lua)' PRELOAD='$(preload)' RUNNER='$(RUNNER)' sh spec/run.sh --specs $(tests) $(hosts) $(process) $(simulate)

# Which tests prove which rule, of the last make test.
conformance:
	@$(lua) .ci/conformance.lua $(BUILD) all

# The C tests alone need no Lua.
test-core: $(tests) $(process) $(simulate)
	@BUILD='$(BUILD)' SAN='$(SAN)' RUNNER='$(RUNNER)' sh spec/run.sh $(tests) $(process) $(simulate)

# Known bugs: in schedules, by the explorer; rules that are broken, by the tests that carry their number.
planted:
	@$(MAKE) --no-print-directory explore
	@$(lua) .ci/broken.lua

# Each claim with its command and its figure; ONLY=word: those that have this word.
reliability:
	+@CALLS='$(CALLS)' SEED='$(SEED)' $(lua) .ci/reliability.lua '$(ONLY)'

# The C tests and the simulation under the memory sanitizer, which clang alone has.
test-memory:
	@$(MAKE) --no-print-directory run-memory CC=clang BUILD=build/memory CFLAGS='-O1 -g1 -fsanitize=memory' LDFLAGS=-fsanitize=memory
run-memory: $(tests) $(simulate)
	@BUILD='$(BUILD)' sh spec/run.sh $(tests) $(simulate)

# All tests under valgrind, with less of what takes long. Leaks are for SAN=address to see: a forked
# child owes what the threads of its parent had.
valgrind = valgrind -q --error-exitcode=99 --leak-check=no --fair-sched=yes
test-valgrind:
	@sh .ci/deps valgrind
	+@STRESS_CALLS=30000 WHEEL_STEPS=100000 ROUNDS=300 EXITS=10 LUA_EXITS=10 UNLOADS=20 \
	  $(MAKE) --no-print-directory test BUILD='$(BUILD)/valgrind' CPPFLAGS=-DSLOW=100 RUNNER='$(valgrind)'

# The C tests on other machines; one whose compiler cannot be had is skipped.
MACHINES = i686 time64 aarch64 s390x
test-machines:
	-@sh .ci/deps machines
	@mkdir -p $(BUILD)
	+@BUILD='$(BUILD)' MAKE='$(MAKE)' sh spec/machines.sh $(MACHINES)

# All tests with a Lua that checks itself, where its sources can be had.
test-asserting:
	-@sh .ci/deps asserting
	+@BUILD='$(BUILD)' MAKE='$(MAKE)' sh spec/asserting.sh $(BUILD)/lua-asserting

# Which branches the tests take: all of core/ by the C tests; by the specs, most of the binding.
covered = find build/coverage -name '*.gcda' -delete 2>/dev/null; \
          STRESS_CALLS=300000 ROUNDS=300 WHEEL_STEPS=1000000 $(MAKE) --no-print-directory CC=gcc SAN=coverage
coverage:
	@$(covered) test-core
	@$(lua) .ci/coverage.lua build/coverage core 100
soak-coverage:
	@$(covered) test
	@$(lua) .ci/coverage.lua build/coverage core 100 lua/binding 95

FAULTS = 300
soak-mutation:
	@$(lua) .ci/mutate.lua $(FAULTS) $(or $(SEED),$$(date +%s)) $(FILE)

# CALLS=n SEED=n: so many calls beside the model, or from another seed.
CALLS = 100000000
soak-simulation: $(simulate)
	@$(simulate) $(CALLS) $(SEED)

# And those that hold states of Lua.
test-host: $(hosts) $(jumps)
	@BUILD='$(BUILD)' SAN='$(SAN)' sh spec/run.sh $(hosts)

c_files := $(wildcard core/*.[ch] lua/*.h lua/binding/*.[ch] spec/*.c spec/core/*.[ch] spec/host/*.[ch] spec/process/*.[ch] spec/sim/*.[ch] \
  spec/fuzz/*.[ch] \
  examples/*.c examples/guide/*.c bench/*.[ch])
no_uv = $(if $(shell pkg-config --exists libuv && echo yes),,examples/libuv.c)

# clang-tidy looks at what users build; the tests have the warnings of two compilers, and the sanitizers.
run-lint:
	$(lua) .ci/layers.lua
	$(lua) .ci/names.lua
	$(lua) .ci/skips.lua
	luacheck --quiet lua spec examples bench .ci
	clang-format --dry-run -Werror $(c_files) $(wildcard bench/peers/*.c)
	@if command -v clang-tidy >/dev/null; then \
	  echo clang-tidy; mkdir -p $(BUILD); \
	  printf '%s\n' $(filter-out $(no_uv),$(filter core/%.c lua/%.c examples/%.c,$(c_files))) | \
	    xargs -P 2 -I{} clang-tidy --quiet {} -- $(flags) -I$(incdir) -Ilua -Ispec/core -Ispec/sim -Ilua/binding 2>$(BUILD)/tidy.log || \
	    { cat $(BUILD)/tidy.log; exit 1; }; \
	else \
	  echo 'no clang-tidy here: static analysis is skipped'; \
	fi

# ---- installing ------------------------------------------------------------

PREFIX     ?= /usr/local
$(if $(filter /%,$(firstword $(PREFIX))),,$(error PREFIX=$(PREFIX): an absolute path, please))
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
# The names of LuaRocks, which calls module and install-module.
INST_LIBDIR ?= $(PREFIX)/lib/lua/5.4
INST_LUADIR ?= $(PREFIX)/share/lua/5.4

pkgconfig := $(LIBDIR)/pkgconfig
in_prefix  = $(patsubst $(PREFIX)/%,$${prefix}/%,$1)
put        = install -m 644
dl         := $(if $(filter Linux,$(shell uname -s)),-ldl)

, := ,
# pc(the name, what it is, what it needs, its libraries, what else a static link needs)
define pc
@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(call in_prefix,$(LIBDIR))' 'includedir=$(call in_prefix,$(INCLUDEDIR))' '' \
  'Name: $1' 'Description: $2' 'Version: $(version)' 'Requires: $3' 'Cflags: -I$${includedir}' \
  'Libs: -L$${libdir} $4' 'Libs.private: $5' >'$(DESTDIR)$(pkgconfig)/$1.pc'
endef

install: libs
	install -d '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(pkgconfig)'
	$(put) core/ctx.h '$(DESTDIR)$(INCLUDEDIR)'
	$(put) $(library) '$(DESTDIR)$(LIBDIR)'
	install -m 755 $(firstword $(shared)) '$(DESTDIR)$(LIBDIR)'
	cd '$(DESTDIR)$(LIBDIR)' && ln -sf $(word 1,$(names)) $(word 2,$(names)) && ln -sf $(word 2,$(names)) $(word 3,$(names))
	$(call pc,ctx,contexts: cancel$(,) deadlines and values for trees of work,,-lctx,-pthread)
	@echo 'ctx $(version) is in $(LIBDIR); make install-lua installs its module for Lua 5.4, too'

# The module, and what a host needs that embeds Lua and shares its contexts with scripts.
install-lua: install-module $(embedded)
	install -d '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(pkgconfig)'
	$(put) lua/ctx_lua.h '$(DESTDIR)$(INCLUDEDIR)'
	$(put) $(embedded) '$(DESTDIR)$(LIBDIR)'
	$(call pc,ctx-lua,ctx for hosts that embed Lua 5.4,ctx,-lctx_lua $(dl),-pthread)

module: $(module)

install-module: $(module)
	install -d '$(DESTDIR)$(INST_LIBDIR)/ctx' '$(DESTDIR)$(INST_LUADIR)/ctx'
	install -m 755 $(module) '$(DESTDIR)$(INST_LIBDIR)/ctx'
	$(put) lua/ctx.lua '$(DESTDIR)$(INST_LUADIR)'
	$(put) lua/ctx/*.lua '$(DESTDIR)$(INST_LUADIR)/ctx'

uninstall:
	rm -f $(patsubst %,'$(DESTDIR)$(LIBDIR)/%',libctx.a libctx_lua.a $(names) pkgconfig/ctx.pc pkgconfig/ctx-lua.pc)
	rm -f '$(DESTDIR)$(INCLUDEDIR)/ctx.h' '$(DESTDIR)$(INCLUDEDIR)/ctx_lua.h' '$(DESTDIR)$(INST_LUADIR)/ctx.lua'
	rm -f '$(DESTDIR)$(INST_LIBDIR)/ctx/core.so' $(patsubst lua/%,'$(DESTDIR)$(INST_LUADIR)/%',$(wildcard lua/ctx/*.lua))
	rmdir '$(DESTDIR)$(INST_LIBDIR)/ctx' '$(DESTDIR)$(INST_LUADIR)/ctx' 2>/dev/null || true

# Installs into a folder of its own, and builds programs against what lies there.
test-install: libs
	@sh .ci/deps install
	+@BUILD='$(BUILD)' CC='$(CC)' LUA='$(lua)' LUA_INCDIR='$(incdir)' MAKE='$(MAKE)' sh spec/run.sh spec/install.sh

# The reference: of the module from its annotations, of the core from its headers.
docs:
	@sh .ci/deps docs
	@mkdir -p $(BUILD)/docs
	@$(lua) .ci/reference.lua $(BUILD)/docs/c.html core/ctx.h lua/ctx_lua.h
	@ldoc -q -f plain -c .ci/config.ld -d '$(abspath $(BUILD))/docs/lua' . >$(BUILD)/docs/ldoc.log 2>&1 || { cat $(BUILD)/docs/ldoc.log; exit 1; }
	@$(lua) .ci/listed.lua lua/ctx/types.lua $(BUILD)/docs/lua/index.html

# The core as two files to drop into a project: cc -c ctx.c -pthread.
amalgamation:
	@mkdir -p $(BUILD)/amalgamation
	@$(lua) .ci/amalgamate.lua $(BUILD)/amalgamation
	@echo $(BUILD)/amalgamation/ctx.c $(BUILD)/amalgamation/ctx.h

clean:
	rm -rf build

# ---- the schedule explorer: the core on another platform, see docs/explorer.md

# REPLAY=scenario:string runs one schedule again, planted/name:string that of a planted bug.
explore:
	@$(MAKE) --no-print-directory run-explore SAN=

explore_dir   := $(BUILD)/explore
explore_flags  = -std=c11 $(warnings) -fno-pie -U_FORTIFY_SOURCE -DCTX__PLATFORM='"explore.h"' -Icore -Ilua/binding -Ispec/core/explore
explore_see   := -fsanitize=thread # only the calls that it puts before reads and writes
explore_core  := $(filter-out core/platform.c,$(wildcard core/*.c)) lua/binding/mailbox.c
explore_seen  := $(explore_core) $(wildcard spec/core/explore/scenario/*.c)
explore_parts := $(patsubst %.c,$(explore_dir)/%.o,$(explore_seen) $(wildcard spec/core/explore/*.c))
explore_bugs  := $(patsubst spec/core/explore/planted/%.patch,%,$(wildcard spec/core/explore/planted/*.patch))
explore_bins  := $(explore_dir)/explore $(explore_bugs:%=$(explore_dir)/planted/%)

$(explore_dir)/%.o: %.c $(BUILD)/flavour
	@mkdir -p $(@D)
	$(quiet)$(CC) $(explore_flags) $(CFLAGS) $(if $(filter $<,$(explore_seen)),$(explore_see),-O3) -MMD -MP -c -o $@ $<

$(explore_dir)/explore: $(explore_parts)
	$(quiet)$(CC) -no-pie -o $@ $^

# With a planted bug: the one source as it is patched, and all the rest as it is.
planted := $(explore_dir)/planted
$(planted)/%: spec/core/explore/planted/%.patch $(explore_parts)
	$(quiet)sh spec/core/explore/plant.sh $* $(explore_dir)
	$(quiet)$(CC) $(explore_flags) $(CFLAGS) $(explore_see) -Wno-unused -Wno-unused-parameter -c -o $@.tree/part.o $@.tree/part.c
	$(quiet)$(CC) -no-pie -o $@ $@.tree/part.o $$(cat $@.tree/others)

run-explore: $(explore_bins)
	@REPLAY='$(REPLAY)' sh spec/core/explore/run.sh $(explore_dir) $(explore_bugs)

explore_files := $(wildcard spec/core/explore/*.[ch] spec/core/explore/scenario/*.c)

run-lint: lint-explore
lint-explore:
	clang-format --dry-run -Werror $(explore_files)

-include $(explore_parts:.o=.d)

.PHONY: explore run-explore lint-explore

-include $(fuzz_targets:%=%.d) $(patsubst %.o,%.d,$(fuzz_parts) $(replay) $(fuzz_names:%=$(BUILD)/obj/spec/fuzz/%.o) $(core) $(binding) $(host_objects) $(process_objects) $(sim_objects) $(c_programs) $(tests:$(BUILD)/spec/%=$(BUILD)/obj/spec/core/%.o))

.PHONY: help test-valgrind test-machines test-asserting soak-mutation coverage soak-coverage test-memory run-memory fuzz soak-fuzz planted reliability amalgamation docs soak-races soak-simulation conformance examples bench bench-sweep bench-deps bench-latency all libs demo test lint clean run-demo run-test run-lint test-core test-host module install install-lua install-module uninstall test-install lua-headers FORCE
.DELETE_ON_ERROR:
.SECONDARY:
