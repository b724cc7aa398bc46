# SPDX-License-Identifier: LGPL-2.1-only
#
# The build. Works in the source tree and, through the two lines that
# configure writes, outside it; make always runs in the build directory.
# New sources and tests are found by their place; nothing is listed here:
#
#   tools/libxl/**.c                     libxlsnapshot.a and .so
#   tools/xl/*.c                         xl (main() is in xl.c alone)
#   tools/completion/                    xl-snapshot.bash
#   tools/tests/snapshot/DIR/test_*.c    one test program each; what else
#                                        lies in DIR is linked into each
#   tools/tests/snapshot/DIR/*.t.sh      tests in shell
#
# On a machine where configure has not run, `make check` and `make demo` do
# everything from the packages on; see the first half below.

ifneq ($(origin srcdir),file)
ifneq ($(origin srcdir),command line)
srcdir := .
endif
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += -r

tests  := $(srcdir)/tools/tests/snapshot
unit   := xl-snapshot-recover.service
pc     := xlsnapshot.pc
DEPS   := yes
NPROC  := $(shell nproc 2>/dev/null || echo 2)
# Use all processors, unless the caller has said how many.
JOBS    = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(NPROC))
RUNS   := demo bench check check-fast check-fault check-fuzz check-lab \
          check-steps check-power check-valgrind

.PHONY: all help install uninstall clean distclean lib deps-build deps-lab \
        deps-fuzz deps-valgrind \
        test-programs fault-program fuzz-programs $(RUNS)

help:
	@echo 'make                build xl and xl-snapshot'
	@echo 'make install        install them and the documents (DESTDIR=, prefix=)'
	@echo 'make uninstall      remove what install put there'
	@echo 'make demo           set up what is needed, show a snapshot in a lab'
	@echo 'make check          set up what is needed, run every test'
	@echo 'make check-fast     the same without the lab'
	@echo 'make check-fault    let each call of the library fail, and be killed there'
	@echo 'make check-fuzz     feed the parsers of what comes from outside'
	@echo 'make check-valgrind run what check-fast runs under valgrind'
	@echo 'make check-steps    on a real Xen: let each step fail, and be killed'
	@echo 'make check-power    on a real Xen: cut the power of the host'
	@echo 'make check-lab      the lab alone: a real Xen host inside QEMU'
	@echo 'make bench          measure against the stock tools, in the lab'
	@echo 'make lib            build the library alone, shared and as an archive'
	@echo 'make test-programs  build the test programs, do not run them'
	@echo 'make clean          remove what make built, but not the lab'
	@echo 'make distclean      remove all that was made or downloaded'
	@echo 'make help           this list'
	@echo
	@echo 'Variables: WERROR=1 (warnings are errors), CFLAGS=, LDFLAGS=,'
	@echo 'V=1 (show commands), VERBOSE=1 (show each claim of a test),'
	@echo 'SAN=no (tests without sanitizers), DEPS=no (install no packages),'
	@echo 'FAULT_ALL=1 (check-fault tries each call in every scene, for an hour),'
	@echo 'FAULT_SCENES= (of check-steps; all take two hours), POWER_CUTS=20,'
	@echo 'POWER_SEED= (of check-power; a cut takes a minute).'

ifeq ($(wildcard config.mk),)
# ------------------------------------------------------------------------
# Not configured.

all lib install uninstall test-programs:
	@echo 'This tree is not configured. Run:' >&2
	@echo >&2
	@echo '    ./autogen.sh && ./configure && make' >&2
	@echo >&2
	@echo 'or, as root on Debian, make demo or make check: they do that, and' >&2
	@echo 'install the packages that are missing. make help: the targets.' >&2
	@exit 1

$(RUNS): bootstrap
	@$(MAKE) --no-print-directory $@

.PHONY: bootstrap
bootstrap:
ifeq ($(DEPS),yes)
	@sh $(tests)/deps.sh build
endif
	@$(srcdir)/autogen.sh
	@$(srcdir)/configure --quiet

else
# ------------------------------------------------------------------------
# Configured.

include config.mk

ifneq ($(filter-out help clean distclean,$(or $(MAKECMDGOALS),all)),)
config.mk: $(srcdir)/config.mk.in config.status
	./config.status config.mk
	@touch $@
config.status: $(srcdir)/configure
	if test -x $@; then ./$@ --recheck; else $(srcdir)/configure; fi
$(srcdir)/configure: $(srcdir)/configure.ac
	$(srcdir)/autogen.sh
	@touch $@
endif

ifeq ($(V),1)
say = @:
Q  :=
else
say = @printf '  %-4s %s\n'
Q  := @
endif

# ---- flags

WARNINGS := -Wall -Wextra -Winit-self -Wshadow -Wpointer-arith -Wwrite-strings \
            -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
            -Wformat=2 -Wvla
BASE_CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
            -DLIBXL_API_VERSION=0x041400 \
            -DPACKAGE_VERSION='"$(PACKAGE_VERSION)"' \
            -DSNAP_STORE_DIR='"$(store_dir)"' \
            -I$(srcdir)/tools/libxl $(XEN_CFLAGS)
BASE_CFLAGS := -std=gnu11 $(WARNINGS)
# Fortification needs the optimizer; without it glibc only warns.
FORTIFY = $(if $(filter -O -O1 -O2 -O3 -Os -Og -Ofast,$(CFLAGS)), \
            $(FORTIFY_CPPFLAGS))

# One set of flags for each variant: obj is for users, obj-san for tests,
# obj-fuzz for libFuzzer, which is clang's.
CLANG := clang
cc-obj = $(CC)
cc-obj-san = $(CC)
cc-obj-fault = $(CC)
cc-obj-fuzz = $(CLANG)
FUZZ_CFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all
# The objects in the archive are those of the shared library.
flags-obj = $(BASE_CPPFLAGS) $(FORTIFY) $(CPPFLAGS) \
            $(BASE_CFLAGS) $(HARDEN_CFLAGS) $(CFLAGS) -fPIC
flags-obj-san = $(BASE_CPPFLAGS) $(CPPFLAGS) \
            $(BASE_CFLAGS) -g -O1 -fno-omit-frame-pointer $(SAN_CFLAGS)
# The library of the fault sweep is compiled with its points in front: see
# fault/points.h. Without sanitizers, which make each of its many forks slow.
flags-obj-fault = $(BASE_CPPFLAGS) $(CPPFLAGS) -std=gnu11 -g -O1 \
            -fno-omit-frame-pointer \
            -DSNAP_XEN_RUN_DIR=fault_run_dir -DSNAP_LOCK_DIR=fault_lock_dir \
            -I$(srcdir)/$T -include fault/points.h
flags-obj-fuzz = $(BASE_CPPFLAGS) $(CPPFLAGS) -std=gnu11 -g -O1 \
            -fno-omit-frame-pointer -fsanitize=fuzzer-no-link $(FUZZ_CFLAGS)
link-obj = $(HARDEN_CFLAGS) $(CFLAGS) $(HARDEN_LDFLAGS) $(LDFLAGS)
link-obj-san = $(SAN_CFLAGS) -Wl,--as-needed $(LDFLAGS)
link-obj-fault = -Wl,--as-needed $(LDFLAGS)
link-obj-fuzz = -fsanitize=fuzzer $(FUZZ_CFLAGS) $(LDFLAGS)
# The tests' variant is always strict; users' compilers may know new warnings.
werror-obj = $(if $(filter 1 yes,$(WERROR)),-Werror)
werror-obj-san = -Werror

# ---- what there is

rel = $(patsubst $(srcdir)/%,%,$(wildcard $(addprefix $(srcdir)/,$(1))))

lib_src := $(call rel,tools/libxl/*.c tools/libxl/*/*.c)
xl_src  := $(call rel,tools/xl/*.c)
T       := tools/tests/snapshot
fuzz_src := $(call rel,$T/fuzz/fuzz_*.c)
fault_src := $(call rel,$T/fault/*.c) $T/act/fake_xen.c $T/qmp/server.c
test_all_src := $(filter-out $T/lab/% $T/fuzz/% $T/fault/%, \
                $(call rel,$T/*/*.c))
test_src := $(foreach f,$(test_all_src),$(if $(filter test_%,$(notdir $f)),$f))
test_aux_src := $(filter-out $(test_src),$(test_all_src))
test_sh := $(filter-out $T/lab/%,$(call rel,$T/*/*.t.sh))
docs     := $(call rel,README.md docs/*.md docs/*.json)
docs_examples := $(call rel,docs/examples/*)
man      := $(if $(POD2MAN),$(patsubst %.pod,%,$(notdir \
                $(call rel,docs/man/*.pod))))

# ---- one variant: its objects, library, program and test programs

# A list is rewritten only when it changes, so that what was built from a
# source that is gone, or with other flags, is built again.
define keep_list
@mkdir -p $(@D)
@printf '%s\n' $(foreach w,$(1),'$(subst ','\'',$(w))') > $@.new
@if cmp -s $@.new $@; then rm -f $@.new; else mv -f $@.new $@; fi
endef

# $(1): directory of objects, $(2): the library, $(3): the program
define variant
$(1)/flags: FORCE
	$$(call keep_list,$$(cc-$(1)) $$(flags-$(1)) $$(link-$(1)))
$(1)/lib.list: FORCE
	$$(call keep_list,$$(lib_src))
$(1)/xl.list: FORCE
	$$(call keep_list,$$(xl_src))

$(1)/%.o: $(srcdir)/%.c $(1)/flags
	$$(say) CC $$@
	@mkdir -p $$(@D)
	$(Q)$$(cc-$(1)) $$(flags-$(1)) $$(werror-$(1)) $$(include) \
	    -MMD -MP -c -o $$@ $$<
$(1)/tools/xl/%.o: include = -I$(srcdir)/tools/xl
$(1)/$T/%.o: include = -I$(srcdir)/$T -I$(srcdir)/tools/xl

$(2): $$(lib_src:%.c=$(1)/%.o) $(1)/lib.list
	$$(say) AR $$@
	@rm -f $$@
	$(Q)$$(AR) rcs $$@ $$(filter %.o,$$^)

$(3): $$(xl_src:%.c=$(1)/%.o) $(2) $(1)/xl.list
	$$(say) LD $$@
	$(Q)$$(CC) $$(link-$(1)) -o $$@ $$(filter %.o,$$^) $(2) \
	    $$(XEN_LIBS) $$(LIBS)

-include $$(patsubst %.c,$(1)/%.d,$$(lib_src) $$(xl_src) $$(test_all_src))

# A test of the command line has xl's objects, all but the one with main().
$$(foreach t,$$(test_src:%.c=%),$$(eval $$(call test_program,$(1),$(2),$$t)))
endef

# $(1), $(2) as above, $(3): the test's path without .c
define test_program
$(1)/$(3): $(1)/$(3).o \
    $(patsubst %.c,$(1)/%.o,$(filter $(dir $(3))%,$(test_aux_src))) \
    $(if $(filter %/cli/,$(dir $(3))),$(patsubst %.c,$(1)/%.o, \
        $(filter-out tools/xl/xl.c,$(xl_src)))) $(2)
	$$(say) LD $$@
	$(Q)$$(CC) $$(link-$(1)) -o $$@ $$(filter %.o,$$^) $(2) \
	    $$(XEN_LIBS) $$(LIBS)
endef

$(eval $(call variant,obj,libxlsnapshot.a,xl))
$(eval $(call variant,obj-san,obj-san/libxlsnapshot.a,obj-san/xl))
$(eval $(call variant,obj-fuzz,obj-fuzz/libxlsnapshot.a,obj-fuzz/xl))

$(eval $(call variant,obj-fault,obj-fault/libxlsnapshot.a,obj-fault/xl))
obj-fault/tools/libxl/%.o: include = -DFAULT_ARMED

fault_bin := obj-fault/sweep
-include $(fault_src:%.c=obj-fault/%.d)
$(fault_bin): $(fault_src:%.c=obj-fault/%.o) obj-fault/libxlsnapshot.a
	$(say) LD $@
	$(Q)$(CC) $(link-obj-fault) -o $@ $(filter %.o,$^) \
	    obj-fault/libxlsnapshot.a $(XEN_LIBS) $(LIBS)

# An xl whose steps fail, for the lab.
-include obj-fault/$T/lab/faults.d
obj-fault/xl: obj-fault/$T/lab/faults.o

# Of the library only; xl's files besides where the target is about one.
fuzz_bin := $(fuzz_src:%.c=obj-fuzz/%)
obj-fuzz/$T/fuzz/fuzz_snapconfig obj-fuzz/$T/fuzz/fuzz_cfgedit: \
    $(patsubst %.c,obj-fuzz/%.o,$(filter-out tools/xl/xl.c,$(xl_src)))
-include $(fuzz_bin:%=%.d)
$(fuzz_bin): %: %.o obj-fuzz/libxlsnapshot.a
	$(say) LD $@
	$(Q)$(CLANG) $(link-obj-fuzz) -o $@ $(filter %.o,$^) \
	    obj-fuzz/libxlsnapshot.a $(XEN_LIBS) $(LIBS)

# Objects of tests are worth keeping: make would remove them as intermediate.
.SECONDARY:
.PHONY: FORCE
FORCE:

# ---- build

systemddir = $(prefix)/lib/systemd/system
pkgconfigdir = $(libdir)/pkgconfig

all: lib xl xl-snapshot xl-snapshot.bash $(unit) $(pc) $(man:%=man/%)

xl-snapshot: xl
	$(Q)ln -sf xl $@

# Written each time: paths can be given anew on the command line.
$(unit): $(srcdir)/tools/xl/$(unit).in
$(pc): $(srcdir)/tools/libxl/$(pc).in
$(unit) $(pc): FORCE
	$(Q)sed -e 's|@prefix@|$(prefix)|' -e 's|@sbindir@|$(sbindir)|' \
	    -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
	    -e 's|@docdir@|$(docdir)|' -e 's|@version@|$(PACKAGE_VERSION)|' \
	    -e 's|@libs@|$(strip $(XEN_LIBS) $(LIBS))|' $(filter %.in,$^) > $@

# ---- the library for other programs

# xl is linked with the archive: it also uses what is inside the library (JSON,
# strings, files), and the shared one exports nothing but its interface.
# docs/HACKING.md says when the numbers change.
lib_soname := libxlsnapshot.so.0
lib_so     := $(lib_soname).1
lib_map    := $(srcdir)/tools/libxl/libxlsnapshot.map
lib_header := $(srcdir)/tools/libxl/libxl_snapshot.h

lib: libxlsnapshot.a $(lib_so)

$(lib_so): $(lib_src:%.c=obj/%.o) obj/lib.list $(lib_map)
	$(say) LD $@
	$(Q)$(CC) $(filter-out -pie,$(link-obj)) -shared -Wl,-z,defs \
	    -Wl,-soname,$(lib_soname) -Wl,--version-script,$(lib_map) \
	    -o $@ $(filter %.o,$^) $(XEN_LIBS) $(LIBS)

# ---- the manual pages: NAME.SECTION.pod makes man/NAME.SECTION

man_section = $(subst .,,$(suffix $(1)))

$(man:%=man/%): man/%: $(srcdir)/docs/man/%.pod config.mk
	$(say) MAN $@
	@mkdir -p $(@D)
	$(Q)$(POD2MAN) --errors=die --section=$(call man_section,$*) \
	    --name='$(basename $*)' --center='Snapshots of Xen domains' \
	    --release='$(PACKAGE_TARNAME) $(PACKAGE_VERSION)' $< $@

# ---- completion in bash: the tables of options, then what uses them

completion_src := tools/completion/tables.c
-include $(completion_src:%.c=obj/%.d)
obj/tools/completion/%.o: include = -I$(srcdir)/tools/xl
obj/tools/completion/tables: $(completion_src:%.c=obj/%.o) libxlsnapshot.a \
    $(patsubst %.c,obj/%.o,$(filter-out tools/xl/xl.c,$(xl_src)))
	$(say) LD $@
	$(Q)$(CC) $(link-obj) -o $@ $(filter %.o,$^) libxlsnapshot.a \
	    $(XEN_LIBS) $(LIBS)

xl-snapshot.bash: obj/tools/completion/tables \
    $(srcdir)/tools/completion/xl-snapshot.bash
	$(say) GEN $@
	$(Q){ $< && cat $(filter %.bash,$^); } > $@

# ---- install

# bash-completion looks for a file with the name of the command. Where the
# distribution's completion of xl is, it stays.
completionsdir = $(datadir)/bash-completion/completions
man_file = $(mandir)/man$(call man_section,$(1))/$(1)

install: all
	$(INSTALL) -d '$(DESTDIR)$(sbindir)' '$(DESTDIR)$(docdir)/examples'
	$(INSTALL) -m 755 xl '$(DESTDIR)$(sbindir)/xl'
	ln -sf xl '$(DESTDIR)$(sbindir)/xl-snapshot'
	$(INSTALL) -d '$(DESTDIR)$(systemddir)'
	$(INSTALL) -m 644 $(unit) '$(DESTDIR)$(systemddir)/$(unit)'
	$(if $(docs),$(INSTALL) -m 644 $(docs:%='$(srcdir)/%') \
	    '$(DESTDIR)$(docdir)')
	$(if $(docs_examples),$(INSTALL) -m 644 \
	    $(docs_examples:%='$(srcdir)/%') '$(DESTDIR)$(docdir)/examples')
	$(INSTALL) -d '$(DESTDIR)$(includedir)' '$(DESTDIR)$(pkgconfigdir)'
	$(INSTALL) -m 644 '$(lib_header)' '$(DESTDIR)$(includedir)'
	$(INSTALL) -m 644 libxlsnapshot.a '$(DESTDIR)$(libdir)'
	$(INSTALL) -m 755 $(lib_so) '$(DESTDIR)$(libdir)'
	ln -sf $(lib_so) '$(DESTDIR)$(libdir)/$(lib_soname)'
	ln -sf $(lib_soname) '$(DESTDIR)$(libdir)/libxlsnapshot.so'
	$(INSTALL) -m 644 $(pc) '$(DESTDIR)$(pkgconfigdir)'
	$(INSTALL) -d '$(DESTDIR)$(completionsdir)'
	$(INSTALL) -m 644 xl-snapshot.bash '$(DESTDIR)$(completionsdir)/xl-snapshot'
	test -e '$(DESTDIR)$(completionsdir)/xl' || \
	    ln -s xl-snapshot '$(DESTDIR)$(completionsdir)/xl'
	$(foreach m,$(man),$(INSTALL) -D -m 644 man/$m \
	    '$(DESTDIR)$(call man_file,$m)' &&) :

uninstall:
	rm -f '$(DESTDIR)$(sbindir)/xl' '$(DESTDIR)$(sbindir)/xl-snapshot'
	rm -f '$(DESTDIR)$(includedir)/$(notdir $(lib_header))'
	rm -f $(foreach f,libxlsnapshot.a libxlsnapshot.so $(lib_soname) \
	    $(lib_so),'$(DESTDIR)$(libdir)/$f')
	rm -f '$(DESTDIR)$(pkgconfigdir)/$(pc)'
	rm -f '$(DESTDIR)$(systemddir)/$(unit)'
	rm -f $(foreach f,$(notdir $(docs)),'$(DESTDIR)$(docdir)/$f')
	rm -f $(foreach f,$(notdir $(docs_examples)), \
	    '$(DESTDIR)$(docdir)/examples/$f')
	rm -f '$(DESTDIR)$(completionsdir)/xl-snapshot'
	test "$$(readlink '$(DESTDIR)$(completionsdir)/xl')" != xl-snapshot || \
	    rm -f '$(DESTDIR)$(completionsdir)/xl'
	rm -f $(foreach m,$(man),'$(DESTDIR)$(call man_file,$m)')
	-rmdir '$(DESTDIR)$(docdir)/examples' '$(DESTDIR)$(docdir)' 2>/dev/null

# ---- tests

# Test programs are of the sanitizers' variant where there is one.
SAN := $(if $(strip $(SAN_CFLAGS)),yes,no)
testobj := $(if $(filter yes,$(SAN)),obj-san,obj)
test_bin := $(test_src:%.c=$(testobj)/%)

test-programs: $(test_bin)
fuzz-programs: $(fuzz_bin)
fault-program: $(fault_bin)

check_env = VERBOSE='$(filter-out 0 no,$(VERBOSE))' \
            BUILD='$(CURDIR)' SRC='$(abspath $(srcdir))' SAN='$(SAN)' \
            CC='$(CC)' LAB_DIR='$(CURDIR)/lab' LAB_BIN='$(CURDIR)'

deps-build deps-fuzz deps-lab deps-valgrind:
ifeq ($(DEPS),yes)
	@sh $(tests)/deps.sh $(@:deps-%=%)
endif

check: deps-lab deps-fuzz
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 all test-programs \
	    fault-program fuzz-programs
	@$(check_env) sh $(tests)/check.sh fast fault fuzz lab -- $(test_bin) \
	    $(test_sh:%='$(abspath $(srcdir))/%')

check-fault: deps-build
	@$(MAKE) --no-print-directory $(JOBS) fault-program
	@$(check_env) FAULT_ALL='$(FAULT_ALL)' sh $(tests)/check.sh fault --

check-fuzz: deps-fuzz
	@$(MAKE) --no-print-directory $(JOBS) fuzz-programs
	@$(check_env) sh $(tests)/check.sh fuzz --

check-fast: deps-build
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 all test-programs
	@$(check_env) sh $(tests)/check.sh fast -- $(test_bin) \
	    $(test_sh:%='$(abspath $(srcdir))/%')

check-valgrind: deps-valgrind
	@$(MAKE) --no-print-directory $(JOBS) SAN=no all test-programs
	@VALGRIND=1 TEST_TIMEOUT=600 $(check_env) sh $(tests)/check.sh fast -- \
	    $(test_src:%.c=obj/%)

check-lab: deps-lab
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 all
	@$(check_env) sh $(tests)/check.sh lab --

check-steps: deps-lab
	@$(MAKE) --no-print-directory $(JOBS) obj-fault/xl
	@$(check_env) bash $(tests)/lab/sweep.sh $(FAULT_SCENES)

check-power: deps-lab
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(check_env) bash $(tests)/lab/power.sh

demo: deps-lab
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(check_env) bash $(tests)/lab/demo.sh

bench: deps-lab
	@$(MAKE) --no-print-directory $(JOBS) all
	@$(check_env) bash $(tests)/lab/bench-host.sh

endif

# ------------------------------------------------------------------------
# In either state.

clean:
	rm -rf obj obj-san obj-fault obj-fuzz man
	rm -f libxlsnapshot.a libxlsnapshot.so.* xl xl-snapshot xl-snapshot.bash
	rm -f $(unit) $(pc)

# What autogen.sh made goes only with the tree it was made in.
distclean: clean
	rm -rf lab
	rm -f config.mk config.status config.log
	@if test '$(srcdir)' = .; then rm -rf autom4te.cache configure; \
	else rm -f Makefile; fi
