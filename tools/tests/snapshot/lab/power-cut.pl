#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-only
#
# What a disk holds after a power cut, from a log of all that was written to it.
#
#   power-cut.pl marks LOG                  list the marks in it: ENTRY TEXT
#   power-cut.pl cut LOG ENTRY SEED DISK    make DISK as of that entry
#
# The log is that of QEMU's blklogwrites driver (the format is dm-log-writes',
# Documentation/admin-guide/device-mapper/log-writes.rst of Linux): a super
# block of one sector, and for each request a sector with its place, length and
# flags (1 flush, 2 FUA, 4 discard), then its data, if it is not a discard.
#
# What was flushed is on the disk; of what was written after the last flush
# before the cut nothing is (seed 0), or each request or not, as the seed has it.
# A mark is a request whose data begin with SNAPMARK, for nothing else.

use strict;
use warnings;
no warnings 'portable';

my ($what, $log_path, @args) = @ARGV;

sub usage {
    die "usage: power-cut.pl marks LOG | cut LOG ENTRY SEED DISK\n";
}

usage() if !defined $log_path;
open(my $log, '<:raw', $log_path) or die "$log_path: $!\n";

sub take {
    my ($length) = @_;
    my $data = '';

    return '' if !$length;
    my $n = read($log, $data, $length);
    return defined $n && $n == $length ? $data : undef;
}

my $super = take(28) or die "$log_path: no super block\n";
my ($magic, $version, $entries, $sector) = unpack('Q< Q< Q< L<', $super);
die "$log_path: not a log of writes\n" if $magic != 0x6a736677736872;
seek($log, $sector, 0) or die "$log_path: $!\n";

# Requests in turn: place and length in bytes, flags, and the data.
sub next_entry {
    my $head = take($sector) // return;
    my ($at, $count, $flags) = unpack('Q< Q< Q<', $head);

    return if !$count && !$flags;               # where the log ends
    # QEMU (7.2, block/blklogwrites.c) does not fill in the length of the data.
    my $data = take($flags & 4 ? 0 : $count * $sector) // return;
    return { at => $at * $sector, bytes => $count * $sector,
             flags => $flags, data => $data };
}

sub put {
    my ($disk, $e) = @_;
    my $data = $e->{flags} & 4 ? "\0" x $e->{bytes} : $e->{data};

    return if !length $data;
    seek($disk, $e->{at}, 0) or die "seek: $!\n";
    print $disk $data or die "write: $!\n";
}

if ($what eq 'marks') {
    for (my $n = 0; my $e = next_entry(); $n++) {
        print "$n $1\n" if $e->{data} =~ /\ASNAPMARK ([^\n]*)\n/;
    }
} elsif ($what eq 'cut' && @args == 3) {
    my ($last, $seed, $path) = @args;
    my @pending;

    srand($seed);
    open(my $disk, '+<:raw', $path) or die "$path: $!\n";
    for (my $n = 0; $n <= $last && (my $e = next_entry()); $n++) {
        if ($e->{flags} & 1) {
            put($disk, $_) foreach @pending;
            @pending = ();
        }
        if ($e->{flags} & 2) {
            put($disk, $e);
        } else {
            push @pending, $e;
        }
    }
    my $lost = @pending;
    foreach my $e (@pending) {
        next if !$seed || rand() < 0.5;
        put($disk, $e);
        $lost--;
    }
    close($disk) or die "$path: $!\n";
    printf("%d of %d requests behind the last flush are lost\n", $lost,
           scalar @pending);
} else {
    usage();
}
