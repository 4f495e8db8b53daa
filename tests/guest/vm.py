"""A whole Debian under QEMU: boots an image of tests/guest/image with a disk of files, and hands
on what the guest says.

Uses: nothing. Needs qemu-system-x86 and seabios; KVM is used where it is real.
"""

import os
import selectors
import subprocess
import time

QEMU = "/usr/bin/qemu-system-x86_64"
PROCESSORS = 2
MEMORY_MIB = 1024
SMALL_KERNEL = "cloud-amd64"      # Debian's with the drivers of virtual machines alone
CONSOLE_LINES = 30


def accelerator():
    """KVM where a processor's own virtualisation stands behind it. /dev/kvm is no proof: a
    stock kernel does not come up under a paravirtual one."""
    real = any(os.path.isdir(f"/sys/module/kvm_{maker}") for maker in ("intel", "amd"))
    if real and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    # Without the fifth level of page tables, which would be walked in software.
    return ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"]


def boots_without_initrd(image):
    with open(f"{image}/config", encoding="ascii") as file:
        config = file.read().split("\n")
    return "CONFIG_BLK_DEV_NVME=y" in config and "CONFIG_EXT4_FS=y" in config


def command(image, job, console, arguments):
    """QEMU's words: the first serial line is the kernel's console, the second one is stdio, the
    third and the fourth are the two ends of one cable."""
    if boots_without_initrd(image):
        root, device, initrd = "/dev/nvme0n1", "nvme,serial=root", []
    else:
        root, device, initrd = "/dev/vda", "virtio-blk-pci", ["-initrd", f"{image}/initrd.img"]
    kernel = (f"root={root} rw console=ttyS0 panic=-1 quiet net.ifnames=0 mitigations=off "
              f"apparmor=1 security=apparmor syscall.x32=y {arguments}")
    return [QEMU, "-machine", "q35", *accelerator(), "-smp", str(PROCESSORS),
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-sandbox", "on", "-kernel", f"{image}/vmlinuz", *initrd,
            "-append", kernel,
            "-drive", f"if=none,id=root,format=raw,cache=unsafe,snapshot=on,file={image}/root.img",
            "-device", f"{device},drive=root",
            "-drive", f"if=none,id=job,format=raw,readonly=on,file={job}",
            "-device", "virtio-blk-pci,drive=job,serial=job",
            "-device", "virtio-rng-pci", "-nic", "none",
            "-serial", f"file:{console}",
            "-chardev", "stdio,id=live,signal=off", "-serial", "chardev:live"]


def boot(image, job, console, seconds, on_line, arguments=""):
    """Run the guest until it switches itself off; on_line gets each line that it says.

    `job` is a file that becomes the disk `job`. Returns None, or what went wrong.
    """
    words = command(image, job, console, arguments)
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as qemu:
        try:
            timely = follow(qemu.stdout, time.monotonic() + seconds, on_line)
            if not timely:
                return f"the guest did not end within {seconds} s"
            status = qemu.wait(60)
            return None if status == 0 else f"QEMU ended with status {status}"
        finally:
            qemu.kill()


def follow(stream, deadline, on_line):
    """False when the time was over before the end of the stream."""
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not selector.select(left):
                continue
            data = os.read(stream.fileno(), 65536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                on_line(line.rstrip(b"\r").decode(errors="replace"))
    if pending:
        on_line(pending.decode(errors="replace"))
    return True


def last_words(console):
    """The end of the kernel's console, for who has to find out why a guest died."""
    try:
        with open(console, encoding="utf-8", errors="replace") as file:
            return [line.rstrip() for line in file][-CONSOLE_LINES:]
    except OSError:
        return []
