# SPDX-License-Identifier: MIT
# healthauth: `make demo` shows it, `make test` proves it, `make` builds it for both runtimes. CC, CFLAGS, CPPFLAGS and LDFLAGS are yours; V=1 shows commands.
RUNTIMES = lua5.4 luajit
MODULES  = core curl sqlite hiredis
BUILD    = build
PREFIX   = /usr/local
CFLAGS  ?= -O2 -g

WARN   = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Werror
HARDEN = -O2 -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
OURS   = -std=c99 -fPIC -fvisibility=hidden $(WARN) $(HARDEN) -Isrc -MMD -MP
SHARED = -shared -Wl,-z,relro,-z,now

# A module is ring 0, the files of ring 1 named here, and its own part of ring 2. Nothing else decides what is in it.
core_sys     = src/sys/clock.c src/sys/crypto.c src/sys/private_file.c
core_libs    = -lcrypto -lm
curl_sys     = $(wildcard src/sys/curl*.c)
curl_libs    = -lcurl -Wl,-z,nodelete # a thread of libcurl's that still asks a resolver may outlive the Lua state
sqlite_sys   = $(wildcard src/sys/sqlite*.c)
sqlite_libs  = -lsqlite3
hiredis_sys  = $(wildcard src/sys/redis*.c)
hiredis_libs = -lhiredis
bind_all     = $(wildcard src/bind/*.c)
bind_own     = $(filter src/bind/$(1)_%,$(bind_all))
core_bind    = $(filter-out $(foreach m,curl sqlite hiredis,$(call bind_own,$(m))),$(bind_all))
curl_bind    = src/bind/class.c src/bind/compat.c $(call bind_own,curl)
sqlite_bind  = src/bind/class.c src/bind/compat.c $(call bind_own,sqlite)
hiredis_bind = src/bind/class.c src/bind/compat.c $(call bind_own,hiredis)
sources      = $(wildcard src/base/*.c) $($(1)_sys) $($(1)_bind)
objects      = $(patsubst src/bind/%.c,$(BUILD)/obj/$(1)/%.o,$(patsubst src/base/%.c,$(BUILD)/obj/base/%.o,$(2:src/sys/%.c=$(BUILD)/obj/sys/%.o)))
ready        = $(foreach m,$(MODULES),$(if $(wildcard src/bind/$(if $(m:core=),$(m)_module,module).c),$(m)))
run          = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@printf '  %s\n' $@ &&)

all: $(foreach r,$(RUNTIMES),$(ready:%=$(BUILD)/$(r)/healthauth/%.so)) ; @:

define ring # folder under src, folder under obj, further flags
$(BUILD)/obj/$(2)/%.o: src/$(1)/%.c Makefile | $(BUILD)/obj/$(2)/
	$$(run) $$(CC) $$(CPPFLAGS) $(3) $$(OURS) $$(CFLAGS) -c -o $$@ $$<
endef
define module # runtime, module
$(BUILD)/$(1)/healthauth/$(2).so: $(call objects,$(1),$(call sources,$(2))) | $(BUILD)/$(1)/healthauth/
	$$(run) $$(CC) $$(SHARED) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$($(2)_libs)
endef
$(eval $(call ring,base,base))
$(eval $(call ring,sys,sys))
$(foreach r,$(RUNTIMES),$(eval $(call ring,bind,$(r),$(if $(LUA_INCDIR),-I$(LUA_INCDIR),$$$$(pkg-config --cflags $(r))))))
$(foreach r,$(RUNTIMES),$(foreach m,$(ready),$(eval $(call module,$(r),$(m)))))
-include $(wildcard $(BUILD)/obj/*/*.d)
objects: $(sort $(foreach r,$(RUNTIMES),$(call objects,$(r),$(wildcard src/*/*.c))))
.PRECIOUS: %/
%/: ; @mkdir -p $@

# Other builds of the same sources, each in its own folder.
ASAN = BUILD=build/asan HARDEN= SHARED='-shared -Wl,-z,nodelete' CFLAGS='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
# The branches inside the macros of Lua's and libcurl's headers are not ours to reach.
COV  = BUILD=build/cov HARDEN= CFLAGS='-O0 -g --coverage' CPPFLAGS='-DLUA_NOBUILTIN -DCURL_DISABLE_TYPECHECK'
build-asan: ; +@$(MAKE) --no-print-directory $(or $(ONLY),all objects) $(ASAN)
build-cov:  ; +@$(MAKE) --no-print-directory $(or $(ONLY),all objects) $(COV)

# What luarocks calls (rockspec/): the MODULES of one rock for the Lua of LUA_INCDIR, then they and their Lua files into LIBDIR and LUADIR.
rock: ; +@$(MAKE) --no-print-directory all BUILD=build/rock RUNTIMES=$(subst /,_,$(LUA_INCDIR)) WARN=
rock-install: ; @tools/install.sh rock build/rock/$(subst /,_,$(LUA_INCDIR)) $(LIBDIR) $(LUADIR) $(MODULES)

demo:     setup-demo  ; +@$(MAKE) --no-print-directory all MODULES='core curl' && tools/demo
setup-%: ; @tools/setup.sh $*
test:     setup-test  ; @tools/test.sh
lint:     setup-test  ; @tools/lint.sh
rings:    all objects ; @tools/rings.sh
rocks:    setup-test  ; @tools/rocks.sh
asan:     build-asan  ; @tools/spec.sh lua5.4 build/asan && tools/spec.sh luajit build/asan
coverage: setup-test all ; @tools/coverage.sh
valgrind: setup-extra all ; @tools/valgrind.sh
unit:     setup-test  ; @tools/unit.sh
bench:    setup-test all ; @bench/run
bench-nginx: setup-extra all ; @bench/nginx
browser:  setup-extra all ; @tools/browser.py
nginx-soak: setup-extra all ; @tools/nginx_soak.py
flight:   setup-test all ; @for vm in $(RUNTIMES); do tools/flight.py --runtime $$vm && tools/flight.py --runtime $$vm --store redis --restart 4 || exit 1; done
kill:     setup-test all ; @for vm in $(RUNTIMES); do tools/kill.py --runtime $$vm && tools/kill.py --runtime $$vm --stops || exit 1; done
model lost: setup-test all ; @for vm in $(RUNTIMES); do tools/with_runtime.sh $$vm tools/$@.lua $(or $(SEED),1) || exit 1; done
bench-memory: setup-test all ; @for vm in $(RUNTIMES); do tools/with_runtime.sh $$vm bench/memory.lua || exit 1; done
mutate:   setup-test  ; @python3 test/mutate.py $(MUTATE)
fuzz:     setup-test  ; @tools/fuzz.sh $(or $(TIME),60)
sweep:    setup-test  ; @test/sweep.sh all
faults:   setup-test all ; @test/faults.sh all
install:  all         ; @tools/install.sh $(PREFIX) $(RUNTIMES)
clean:                ; rm -rf build
sources-%:            ; @printf '%s\n' $(call sources,$*)
.PHONY: all rock rock-install demo objects build-asan build-cov test lint rings rocks asan coverage valgrind unit bench bench-nginx browser nginx-soak flight kill model lost bench-memory mutate fuzz sweep faults clean install
