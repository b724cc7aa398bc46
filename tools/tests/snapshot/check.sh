#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only
#
# Runs tests and counts them; called by the Makefile.
#
#   check.sh [fast] [fault] [fuzz] [lab] -- TEST...
#
# fast: the programs and *.t.sh files that follow "--", several at once (those
#       under storage/ one after the other: they share loop devices and LVM).
#       VALGRIND=1: each program under valgrind, see valgrind.sh.
# fault: the sweep of fault/, whose standard output is TAP; FAULT_ALL=1: each
#       point in every scene.
# fuzz: fuzz/all.sh, the parsers of what comes from outside.
# lab:  lab/all.sh, whose standard output is TAP too.
#
# From the environment: BUILD, SRC, SAN (are the programs of the sanitizers'
# variant?), CC, LAB_DIR, LAB_BIN; TEST_TIMEOUT, in seconds, for one fast test
# and LAB_TIMEOUT for the whole lab. VERBOSE=1 shows every claim.
#
# The last line is "N passed, N failed", with ", N skipped" where that is so;
# the reasons of skips stand above it. Not zero when anything failed.
set -eu

: "${BUILD:?}" "${SRC:?}"
export BUILD SRC
export TEST_TIMEOUT="${TEST_TIMEOUT:-120}" LAB_TIMEOUT="${LAB_TIMEOUT:-4500}"

run_fast=no
run_fault=no
run_fuzz=no
run_lab=no
while test $# -gt 0; do
    case $1 in
    fast) run_fast=yes ;;
    fault) run_fault=yes ;;
    fuzz) run_fuzz=yes ;;
    lab)  run_lab=yes ;;
    --)   shift; break ;;
    *)    echo "check.sh: unknown word '$1'" >&2; exit 2 ;;
    esac
    shift
done
export RUN_FAULT=$run_fault RUN_FUZZ=$run_fuzz RUN_LAB=$run_lab

# What a caller has set for real work must not leak into the tests.
unset XL_STOCK XL_SNAPSHOT_STORE
export LC_ALL=C

# The leak detector needs ptrace, which some containers forbid; it then fails
# programs that are sound. A leak made on purpose tells whether it works.
leak_detector_works() {
    dir=$(mktemp -d)
    cat > "$dir/leak.c" <<'EOF'
#include <stdlib.h>
void *volatile hold;
int main(void)
{
    hold = malloc(10);
    hold = NULL;
    return 0;
}
EOF
    rc=0
    ${CC:-cc} -fsanitize=address -o "$dir/leak" "$dir/leak.c" || rc=1
    ASAN_OPTIONS=detect_leaks=1:exitcode=23 "$dir/leak" 2>"$dir/out" || rc=$?
    grep -q 'detected memory leaks' "$dir/out" && test $rc = 23 && rc=0 || rc=1
    rm -rf "$dir"
    return $rc
}

sanitizer_options() {
    leaks=1
    if ! leak_detector_works; then
        leaks=0
        echo "# leaks are not looked for: LeakSanitizer does not work here" \
             "(it needs ptrace)"
    fi
    export ASAN_OPTIONS="detect_leaks=$leaks:exitcode=99:\
detect_stack_use_after_return=1:allocator_may_return_null=1:\
strict_string_checks=1"
    export UBSAN_OPTIONS=print_stacktrace=1
}

if test $run_fast = no; then
    set --
elif test "${SAN:-no}" = yes; then
    sanitizer_options
else
    echo "# the tests are built without sanitizers"
fi

cd "$BUILD"
exec perl - "$@" <<'EOF'
use strict;
use warnings;
use TAP::Harness;
use TAP::Parser::Aggregator;

my %env = map { $_ => $ENV{$_} } qw(SRC BUILD TEST_TIMEOUT LAB_TIMEOUT);
my (%skips, %at_end);
my ($passed, $failed, $skipped) = (0, 0, 0);

my @valgrind = $ENV{VALGRIND}
    ? ('sh', "$env{SRC}/tools/tests/snapshot/valgrind.sh") : ();

sub name_of {
    my ($path) = @_;
    $path =~ s{.*/tools/tests/snapshot/}{};
    return $path;
}

# A test that hangs is a failure, not a hang of the run.
sub command_for {
    my ($seconds) = @_;
    return sub {
        my ($harness, $file) = @_;
        my @how = $file =~ /\.sh\z/ ? ('bash') : @valgrind;
        my @all = $file =~ m{/sweep\z} && $ENV{FAULT_ALL} ? ('-a') : ();
        return ['timeout', '-k', 10, $seconds, @how, $file, @all];
    };
}

sub processors {
    my $n = qx(nproc 2>/dev/null);
    return defined $n && $n =~ /^([1-9][0-9]*)$/m ? $1 : 1;
}

# Called as each test begins: notes why claims are skipped.
sub watch {
    my ($parser, $job) = @_;
    my $name = $job->[1];
    $parser->callback(test => sub {
        my ($t) = @_;
        push @{ $skips{$name} }, $t->explanation || 'no reason given'
            if $t->has_skip;
    });
    $parser->callback(plan => sub {
        my ($plan) = @_;
        if (defined $plan->directive && $plan->directive eq 'SKIP') {
            my $why = $plan->explanation;
            push @{ $skips{$name} }, $why ne '' ? $why : 'no reason given';
            $at_end{$name} = 1;
        }
    });
}

# A test that broke without a failed claim (crash, no plan) is one failure.
sub count {
    my ($parsers) = @_;
    for my $name (sort keys %$parsers) {
        my $p = $parsers->{$name};
        my $lost = $p->failed;
        my $skip = $p->skipped;
        $lost ||= 1 if $p->has_problems;
        $failed  += $lost;
        $skipped += $skip + ($at_end{$name} ? 1 : 0);
        $passed  += $p->passed - $skip;
    }
}

sub run_tests {
    my ($jobs, $seconds, @files) = @_;
    return unless @files;
    my $harness = TAP::Harness->new({
        jobs      => $jobs,
        verbosity => $ENV{VERBOSE} ? 1 : 0,
        timer     => $ENV{VERBOSE} ? 1 : 0,
        failures  => 1,
        color     => -t STDOUT ? 1 : 0,
        exec      => command_for($seconds),
    });
    $harness->callback(made_parser => \&watch);
    my $sum = TAP::Parser::Aggregator->new;
    $sum->start;
    # "Bail out!" arrives as an exception; what ran before it still counts.
    my $went = eval {
        $harness->aggregate_tests($sum, map { [$_, name_of($_)] } @files);
        1;
    };
    my $why = $@;
    $sum->stop;
    $harness->summary($sum) if $went;
    my %parsers;
    @parsers{ $sum->descriptions } = $sum->parsers($sum->descriptions);
    count(\%parsers);
    return if $went;
    print "\nstopped: $why";
    $failed++;
}

my @storage = grep { m{/storage/} } @ARGV;
my @rest    = grep { !m{/storage/} } @ARGV;
run_tests(processors(), $env{TEST_TIMEOUT}, @rest);
run_tests(1, $env{TEST_TIMEOUT}, @storage);

run_tests(1, $env{LAB_TIMEOUT}, "$env{BUILD}/obj-fault/sweep")
    if $ENV{RUN_FAULT} eq 'yes';

run_tests(1, $env{LAB_TIMEOUT}, "$env{SRC}/tools/tests/snapshot/fuzz/all.sh")
    if $ENV{RUN_FUZZ} eq 'yes';

if ($ENV{RUN_LAB} eq 'yes') {
    local $ENV{VERBOSE} = 1;     # minutes long: show that it moves
    my $all = "$env{SRC}/tools/tests/snapshot/lab/all.sh";
    if (-e $all) {
        run_tests(1, $env{LAB_TIMEOUT}, $all);
    } else {
        print "the lab's tests cannot run: there is no $all\n";
        $failed++;
    }
}

for my $name (sort keys %skips) {
    my %times;
    $times{$_}++ for @{ $skips{$name} };
    for my $why (sort keys %times) {
        my $n = $times{$why};
        print "skipped: $name: $why", $n > 1 ? " ($n times)" : '', "\n";
    }
}

if (!$passed && !$failed) {
    print "no test was found\n" unless $skipped;
    $failed = 1 unless $skipped;
}
print "$passed passed, $failed failed",
      $skipped ? ", $skipped skipped" : '', "\n";
exit($failed ? 1 : 0);
EOF
