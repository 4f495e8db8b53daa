# loginbox: one Makefile for everything. `make help` lists the targets.
#
# What a packager sets comes first and with ?= only; what the code needs stands in
# variables of its own, so that setting CFLAGS never loses a warning or a hardening flag.

CC          ?= cc
CFLAGS      ?= -O2 -g
CPPFLAGS    ?=
LDFLAGS     ?=
PKG_CONFIG  ?= pkg-config
DESTDIR     ?=
PREFIX      ?= /usr
SYSCONFDIR  ?= /etc
LIBDIR      ?= $(PREFIX)/lib/$(shell $(CC) -print-multiarch 2>/dev/null)
LIBEXECDIR  ?= $(PREFIX)/libexec
SBINDIR     ?= $(PREFIX)/sbin
MANDIR      ?= $(PREFIX)/share/man
DATADIR     ?= $(PREFIX)/share
PAMDIR      ?= $(LIBDIR)/security
DOCDIR      ?= $(DATADIR)/doc/loginbox
HELPER_MODE ?= 4755
WERROR      ?=
ARCHIVES    ?= yes
SANITIZE    ?=
B           ?= build

# ---- what the code needs ----------------------------------------------------------------

probe = $(shell printf 'int main(void){return 0;}' | $(CC) -Werror $(1) -x c - -o /dev/null 2>/dev/null && echo '$(1)')

PATHS := -DLOGINBOX_HELPER='"$(LIBEXECDIR)/loginbox/loginbox-helper"' \
	-DLOGINBOX_SYSTEMD='"$(LIBEXECDIR)/loginbox/loginbox-systemd"' \
	-DLOGINBOX_MODULE='"$(PAMDIR)/pam_loginbox.so"' \
	-DLOGINBOX_CONF_DIR='"$(SYSCONFDIR)/security"' \
	-DLOGINBOX_VENDOR_DIR='"$(DATADIR)/loginbox"' \
	-DLOGINBOX_RUN='"/run/loginbox"'

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef \
	-Wpointer-arith -Wvla -Wno-missing-field-initializers $(if $(WERROR),-Werror)
ifeq ($(SANITIZE),)
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
	$(call probe,-fstack-clash-protection) $(call probe,-fcf-protection=full)
else
HARDEN := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
# The same bytes from every directory.
OURS := $(call probe,-ffile-prefix-map=$(CURDIR)=.) -std=gnu11 -D_GNU_SOURCE -I. $(PATHS) $(WARN) -fvisibility=hidden -fPIC
LINK := -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE))

# The helper is started at each login: from archives it takes what it uses, and the loader
# has nothing to look for but libc (which stays dynamic for the name services).
HELPER_ARCHIVES := -liniparser -lcap $(shell $(PKG_CONFIG) --libs libnl-3.0 2>/dev/null)
STATIC_LIBS := -Wl,-Bstatic $(HELPER_ARCHIVES) -Wl,-Bdynamic
# A C library before 2.34 has dlopen, and the locks that libnl takes, in libraries of their own.
HELPER_LIBS := $(or $(if $(ARCHIVES),$(call probe,$(STATIC_LIBS))),$(HELPER_ARCHIVES)) -ldl -lpthread
# Asks systemd for groups, in a process of its own; without libsystemd it is not built.
SYSTEMD_LIBS ?= $(shell $(PKG_CONFIG) --libs libsystemd 2>/dev/null)
NL_CFLAGS   := $(shell $(PKG_CONFIG) --cflags libnl-3.0 2>/dev/null)

# ---- what is made of what ---------------------------------------------------------------

LIB_SRC    := $(wildcard lib/base/*.c lib/linux/*.c lib/wire/*.c)
HELPER_SRC := $(wildcard helper/policy/*.c helper/state/*.c helper/build/*.c helper/keeper/*.c)
ADMIN_SRC  := $(wildcard helper/admin/*.c)
SYSTEMD_SRC := $(wildcard helper/systemd/*.c) lib/base/fail.c lib/base/text.c
MAIN_SRC   := $(wildcard helper/*.c)
# The module stands on few modules of lib/, so that it links libpam and libc alone.
MODULE_SRC := $(wildcard pam/*.c) lib/base/fail.c lib/base/fdio.c lib/base/text.c \
	lib/linux/sys.c lib/linux/ns.c lib/linux/rlimit.c lib/linux/caps.c lib/linux/keys.c \
	lib/linux/cwd.c lib/linux/fds.c lib/linux/tty.c lib/linux/seccomp.c lib/linux/label.c \
	lib/linux/journal.c lib/linux/schedule.c
UNIT_SRC   := $(wildcard tests/unit/test_*.c tests/fuzz/test_*.c)

V ?=
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-5s %s\n' $(1) $@)

obj = $(patsubst %.c,$(B)/%.o,$(1))
ENGINE_OBJ := $(call obj,$(LIB_SRC) $(HELPER_SRC)) $(B)/gen/filters.o
UNIT_BIN   := $(patsubst %.c,$(B)/%,$(UNIT_SRC))
# The floor is static, which sanitizers are not.
BENCH_BIN  := $(if $(SANITIZE),,$(addprefix $(B)/tests/bench/,floor meter nothing))
# What attacks, and what is attacked to show that the attack works: plain programs.
ATTACK_BIN := $(patsubst %.c,$(B)/%,$(wildcard tests/attack/*.c))
# A sanitized build keeps what it finds, and has the module twice: the one that is installed
# must load into programs without the sanitizers' library.
REPORTS_OBJ := $(if $(SANITIZE),$(call obj,tests/sanitize/reports.c))
BROKEN_BIN  := $(if $(SANITIZE),$(B)/tests/sanitize/broken)
MODULE      := $(B)/$(if $(SANITIZE),sanitized/)pam_loginbox.so
PROGRAMS    := $(B)/loginbox-helper $(B)/loginbox $(B)/pam_loginbox.so $(MODULE) \
	$(if $(SYSTEMD_LIBS),$(B)/loginbox-systemd)

all: $(PROGRAMS) ## the module, the helper and the command

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(OURS) $(HARDEN) $(NL_CFLAGS) -MMD -MP -c -o $@ $<

# Runs here and now: the filters of system calls that every login has are made once.
$(B)/lib/linux/generate/filters: $(call obj,lib/linux/generate/filters.c lib/linux/seccomp_make.c lib/base/fail.c lib/base/text.c)
	$(call say,LINK)
	$(Q)$(CC) -pie $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ -ldl

$(B)/gen/filters.c: $(B)/lib/linux/generate/filters
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)$< >$@.new && mv $@.new $@

$(B)/gen/filters.o: $(B)/gen/filters.c
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(OURS) $(HARDEN) -c -o $@ $<

$(B)/loginbox-helper: $(call obj,$(MAIN_SRC)) $(ENGINE_OBJ) $(REPORTS_OBJ)
	$(call say,LINK)
	$(Q)$(CC) -pie $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

$(B)/loginbox: $(call obj,$(ADMIN_SRC)) $(ENGINE_OBJ) $(REPORTS_OBJ)
	$(call say,LINK)
	$(Q)$(CC) -pie $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

$(B)/loginbox-systemd: $(call obj,$(SYSTEMD_SRC))
	$(call say,LINK)
	$(Q)$(CC) -pie $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(SYSTEMD_LIBS)

$(MODULE): $(call obj,$(MODULE_SRC)) pam/pam_loginbox.map
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -shared $(CFLAGS) $(LINK) $(LDFLAGS) -Wl,--version-script=pam/pam_loginbox.map \
		-Wl,-z,defs -o $@ $(filter %.o,$^) -lpam

ifneq ($(SANITIZE),)
$(B)/pam_loginbox.so: $(MODULE)
	@$(MAKE) --no-print-directory B=$(B)/plain SANITIZE= $(B)/plain/pam_loginbox.so
	$(Q)cp $(B)/plain/pam_loginbox.so $@
endif

$(B)/tests/%: $(B)/tests/%.o $(ENGINE_OBJ)
	$(call say,LINK)
	$(Q)$(CC) -pie $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

$(B)/tests/sanitize/broken: $(call obj,tests/sanitize/broken.c) $(REPORTS_OBJ)
	$(call say,LINK)
	$(Q)$(CC) -pie $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^

$(B)/tests/attack/%: tests/attack/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< -lpam -lpthread

$(B)/tests/bench/floor $(B)/tests/bench/nothing: %: %.o
	$(call say,LINK)
	$(Q)$(CC) -static $(CFLAGS) $(LDFLAGS) -o $@ $^

$(B)/tests/bench/meter: $(B)/tests/bench/meter.o
	$(call say,LINK)
	$(Q)$(CC) -pie $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ -lpam

unit: $(UNIT_BIN) $(BENCH_BIN) $(ATTACK_BIN) $(BROKEN_BIN) ## build the unit tests, and what the bench runs

-include $(shell find $(B) -name '*.d' -type f ! -path '*/packages/*' 2>/dev/null)

PAGES    := $(wildcard etc/*.5 etc/*.7 pam/*.8 helper/*.8 helper/admin/*.8)
EXAMPLES := $(patsubst etc/%,%,$(wildcard etc/examples/*/* etc/apparmor.d/*))

install: all ## install below DESTDIR; switches nothing on
	install -d $(DESTDIR)$(PAMDIR) $(DESTDIR)$(LIBEXECDIR)/loginbox $(DESTDIR)$(SBINDIR) \
		$(DESTDIR)$(SYSCONFDIR)/security/loginbox.d $(DESTDIR)$(DATADIR)/loginbox/loginbox.d
	install -m 0644 $(B)/pam_loginbox.so $(DESTDIR)$(PAMDIR)/
	install -m $(HELPER_MODE) $(B)/loginbox-helper $(DESTDIR)$(LIBEXECDIR)/loginbox/
	install -m 0755 $(B)/loginbox $(DESTDIR)$(SBINDIR)/
	test ! -e $(B)/loginbox-systemd || \
		install -m 0755 $(B)/loginbox-systemd $(DESTDIR)$(LIBEXECDIR)/loginbox/
	install -m 0644 $(wildcard etc/loginbox.d/*.conf) $(DESTDIR)$(DATADIR)/loginbox/loginbox.d/
	test -e $(DESTDIR)$(SYSCONFDIR)/security/loginbox.conf || \
		install -m 0644 etc/loginbox.conf $(DESTDIR)$(SYSCONFDIR)/security/
	for page in $(PAGES); do \
		install -D -m 0644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
	for file in $(EXAMPLES); do \
		install -D -m 0644 etc/$$file $(DESTDIR)$(DOCDIR)/$$file || exit 1; done

uninstall: ## remove what install put there; the policy stays
	rm -f $(DESTDIR)$(PAMDIR)/pam_loginbox.so $(DESTDIR)$(LIBEXECDIR)/loginbox/loginbox-helper \
		$(DESTDIR)$(LIBEXECDIR)/loginbox/loginbox-systemd \
		$(DESTDIR)$(SBINDIR)/loginbox
	rm -rf $(DESTDIR)$(DATADIR)/loginbox $(DESTDIR)$(DOCDIR)
	for page in $(notdir $(PAGES)); do \
		rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$$page; done
	-rmdir $(DESTDIR)$(LIBEXECDIR)/loginbox $(DESTDIR)$(SYSCONFDIR)/security/loginbox.d 2>/dev/null

# ---- tests: each target does all of its own set-up ---------------------------------------

RUN_TESTS = LOGINBOX_BUILD=$(B) tests/run
# As many compilers as there are processors, unless make was told how many.
MAKE_ALL = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

setup: ## install what Debian 12 lacks to build and test
	@tests/setup

# The same product with another number and size of the wire: what an upgrade meets on a host.
other:
	@$(MAKE) --no-print-directory -s B=build/other CPPFLAGS='$(CPPFLAGS) -DWIRE_VERSION=4242u -DWIRE_LIMITS=17' all

check: setup ## build, and pass all tests at reduced counts
	@$(MAKE_ALL) all unit other
	@$(RUN_TESTS)

# One suite: SUITE=trixie. The images are made when they are not there, in $(B)/images or
# $LOGINBOX_IMAGES.
SUITE ?= bookworm trixie bullseye
check-guest: setup ## tests in whole Debian guests under QEMU (SUITE=bookworm: that one alone)
	@$(MAKE_ALL) all
	@for suite in $(SUITE); do \
		case $$suite in bullseye) tests=tests/old ;; *) tests=tests/guest ;; esac; \
		LOGINBOX_SUITE=$$suite $(RUN_TESTS) $$tests || failed=1; \
		test $$suite != bookworm || LOGINBOX_KERNEL=amd64 $(RUN_TESTS) tests/kernel || failed=1; \
	done; test -z "$$failed"

soak: setup ## the same with the full counts, and all sessions under sanitizers; takes long
	@$(MAKE_ALL) all unit other
	@COUNT_SCALE=0 $(RUN_TESTS) || failed=1; \
		$(MAKE) --no-print-directory sanitize SANITIZED_TESTS='session attack sanitize' || failed=1; \
		test -z "$$failed"

demo: setup ## one real ssh login with a box and one without, side by side
	@$(MAKE_ALL) -s all >/dev/null
	@tests/demo

# What is measured, and beside whom: peers and tools that are no part of the tests.
bench-setup: setup
	@LOGINBOX_BUILD=$(B) tests/setup --optional tests/bench/packages
	@$(MAKE) --no-print-directory -s all $(BENCH_BIN)

bench: bench-setup ## speed and size beside the floor and the peers that are installed
	@LOGINBOX_BUILD=$(B) tests/bench/run

bench-scale: bench-setup ## one more box beside 10 to 1000, in each network mode; a picture
	@LOGINBOX_BUILD=$(B) tests/bench/run scale

bench-mounts: bench-setup ## a box on a host with up to 5000 more mounts; a picture
	@LOGINBOX_BUILD=$(B) tests/bench/run mounts

bench-login: bench-setup ## a whole ssh and su login with the module and without
	@LOGINBOX_BUILD=$(B) tests/bench/run login

bench-profile: bench-setup ## where calls and processor time of one login go, by process
	@LOGINBOX_BUILD=$(B) tests/bench/run profile

# Real logins with the sanitizers in helper, keeper, init and the command; what any of these
# processes finds ends in the test's result, whoever sees its output. Not tests/faults: a call
# that is made to fail may be one of the sanitizers' own, which then end the process.
SANITIZED_TESTS ?= session/test_pam.py session/test_pam_su.py session/test_ssh.py \
	session/test_ssh_forward.py session/test_doors_shell.py \
	session/test_terminal_relay.py session/test_lives.py \
	session/test_lives_state.py session/test_tree.py \
	session/test_network.py session/test_network_ends.py session/test_privileges.py session/test_refusals.py \
	session/test_verbs.py attack/test_argv.py attack/test_descriptors.py attack/test_memory.py \
	sanitize/test_sanitized.py attack/test_signals.py

sanitize: setup ## unit tests and logins under address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory B=build/asan SANITIZE=address,undefined CFLAGS='-O1 -g' all unit
	@LOGINBOX_BUILD=build/asan tests/run tests/unit tests/fuzz $(addprefix tests/,$(SANITIZED_TESTS))

coverage: setup ## lines that the tests run, by file
	@$(MAKE) --no-print-directory B=build/cov CFLAGS='-O0 -g --coverage' all unit
	@LOGINBOX_BUILD=build/cov tests/run tests/unit
	@tests/coverage build/cov

lint: setup ## static analysis, manual pages, shell scripts
	@tests/lint

deb: setup ## Debian packages, in $(B)/packages
	@etc/packaging/build $(B)/packages

clean: ## remove what was built
	rm -rf $(B)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: all unit other install uninstall clean help setup check check-guest soak demo bench-setup \
	bench bench-scale bench-mounts bench-login bench-profile sanitize coverage lint deb
# What was compiled stays, also what no rule names.
.SECONDARY:
.DEFAULT_GOAL := all
