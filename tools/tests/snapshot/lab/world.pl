#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-only
#
# world.pl IMAGES STORE: what a refused command could have touched, as text,
# for comparing; one program, because every process costs a dom0 under
# emulation a tenth of a second.  Runs in dom0, for t40, t41 and t42.
#
# Shown are: each file in IMAGES with its kind, number, mode, owner and
# attributes; where a qcow2's backing file is named, and how many snapshots it
# has and where (none is nowhere); the disks in xenstore, with the domids in
# the paths, so that who was destroyed is missing; libxl's configurations; the
# store, with sizes and times; a monitor that was stopped and forgotten.

use strict;
use warnings;
use Fcntl qw(:mode);
use Time::HiRes qw(lstat);

my ($images, $store) = @ARGV;

sub content {
    my ($path, $bytes) = @_;
    my $data = '';

    open(my $file, '<', $path) or return "unreadable: $!";
    read($file, $data, $bytes // -s $path);
    return $data;
}

sub header {
    my $head = content($_[0], 72);

    return 'short' if length($head) < 72;
    my ($where, $length) = unpack('@8 Q> N', $head);
    my ($count, $at) = unpack('@60 N Q>', $head);
    $at = 0 if !$count;
    return "backing $where $length, $count snapshots at $at";
}

sub disks_in_xenstore {
    my ($root) = @_;

    open(my $tree, '-|', 'xenstore-ls', '-f', $root) or die "xenstore-ls: $!";
    print grep { m{/(params|mode) =} } <$tree>;
    close($tree);
}

sub tree {
    my ($path) = @_;
    my @stat = lstat($path) or return;

    printf("%s %o", $path, $stat[2]);
    print " $stat[7] $stat[9]" if S_ISREG($stat[2]);
    print "\n";
    return if !S_ISDIR($stat[2]) || !opendir(my $dir, $path);
    tree("$path/$_") foreach sort grep { !/^\.\.?$/ } readdir($dir);
}

$| = 1;
foreach my $path (sort glob("$images/*")) {
    my @stat = lstat($path);

    printf("%s %o %d %d:%d\n", $path, @stat[2, 1, 4, 5]);
    print header($path), "\n" if $path =~ /\.qcow2$/ && S_ISREG($stat[2]);
}
system("lsattr $images 2>/dev/null");
disks_in_xenstore('/libxl');
disks_in_xenstore('/local/domain/0/backend');
foreach my $path (sort glob('/var/lib/xen/userdata-d.*')) {
    my $text = content($path);

    $text =~ s{[\s\0]}{}g;
    print "$path $text\n";
}
tree($store);
foreach my $path (glob('/proc/[0-9]*/stat')) {
    print "stopped: $1\n" if content($path, 4096) =~ /^(\d+ \(.*\)) T /s;
}
