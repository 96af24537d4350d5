/// What lets a built system use the whole of a disk that was made larger than its image: a program that
/// systemd runs at every start, before anything is written. It makes the last partition and its file
/// system as long as the disk; where they are, it changes nothing.
enum GrowingRoot {
  private static let program = """
    #!/bin/sh
    # Lets the root partition, which is the last one, and its file system end with the disk.
    set -eu
    part=$(readlink -f "$(findmnt --noheadings --output SOURCE /)")
    node=$(readlink -f "/sys/class/block/${part##*/}")
    disk=/dev/$(basename "${node%/*}")
    number=$(cat "$node/partition")
    end=$(($(cat "$node/start") + $(cat "$node/size")))
    # Less than a mebibyte is what partitioning programs leave.
    if [ $(($(cat "${node%/*}/size") - end)) -ge 2048 ]; then
      echo ", +" | sfdisk --quiet --force --no-reread --no-tell-kernel -N "$number" "$disk"
      partx --update --nr "$number" "$disk"
    fi
    resize2fs "$part"
    """

  private static let unit = """
    [Unit]
    Description=Let the root file system end with its disk
    DefaultDependencies=no
    After=systemd-remount-fs.service
    Before=local-fs.target shutdown.target
    Conflicts=shutdown.target
    ConditionPathIsReadWrite=/

    [Service]
    Type=oneshot
    ExecStart=/usr/local/sbin/grow-root

    [Install]
    WantedBy=local-fs.target
    """

  /// The hook of mmdebstrap that puts both into the system.
  static let hook = """
    set -e; cat > "$1/usr/local/sbin/grow-root" <<'END'
    \(program)
    END
    chmod 755 "$1/usr/local/sbin/grow-root"
    cat > "$1/etc/systemd/system/grow-root.service" <<'END'
    \(unit)
    END
    chroot "$1" systemctl enable --quiet grow-root.service
    """
}
