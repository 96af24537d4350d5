import Glibc
import KVMEngine
import Storage

/// Makes a bootable Debian system of Debian's packages, as an image of the store. Neither root nor loop
/// devices are needed: mmdebstrap makes the system as an archive, fakeroot lets mke2fs see its owners,
/// and GRUB is written in front.
struct ImageBuild {
  let store: ImageStore
  let name: String
  let recipe: DebianRecipe
  let settings: ImageSettings
  /// Is told what is being done.
  let tell: (String) -> Void

  private let mmdebstrap: Program
  private let mke2fs: Program
  private let dumpe2fs: Program
  private let debugfs: Program
  private let grub: Program
  /// The shell that unpacks and packs the system; under fakeroot where this user is not root.
  private let shell: Program
  private let shellArguments: [String]

  /// Looks for all programs that it takes.
  /// - Throws: a sentence that says what to install.
  init(
    _ name: String, of recipe: DebianRecipe, settings: ImageSettings, in store: ImageStore,
    tell: @escaping (String) -> Void
  ) throws {
    (self.name, self.recipe, self.settings, self.store) = (name, recipe, settings, store)
    self.tell = tell
    mmdebstrap = try Program("mmdebstrap", package: "mmdebstrap")
    mke2fs = try Program("mke2fs", package: "e2fsprogs")
    dumpe2fs = try Program("dumpe2fs", package: "e2fsprogs")
    debugfs = try Program("debugfs", package: "e2fsprogs")
    grub = try BootDisk.grubProgram()
    let isRoot = geteuid() == 0
    shell = try isRoot ? Program("sh", package: "dash") : Program("fakeroot", package: "fakeroot")
    shellArguments = isRoot ? [] : ["sh"]
  }

  /// Does it. Nothing is left behind where it fails.
  func run() throws -> ImageImport.Outcome {
    ImageDraft.tidy(store.directories.images)
    guard access(store.folder(of: name), F_OK) != 0 else { throw ImageDraft.taken(name) }
    let draft = try ImageDraft(in: store.directories.images)
    let work = draft.path + "/work"
    try StoreDirectories.make(work)
    let archive = work + "/system.tar"
    try mmdebstrap.run(recipe.arguments(archive: archive), environment: recipe.environment) {
      // Its own account of the steps; "I: " is for information.
      if $0.hasPrefix("I: ") { tell(String($0.dropFirst(3))) }
    }
    let file = draft.path + "/disk.raw"
    try makeDisk(file, archive: archive, work: work)
    Folder.remove(work)
    tell("taking the checksum")
    let digest = try seal(file)
    let image = GoldenImage(
      name: name, path: file, format: .raw, kind: .hardDisk, size: Int64(recipe.size),
      digest: digest, source: "Debian \(recipe.release)", imported: ImageImport.now,
      settings: settings)
    return try ImageImport.finish(draft, in: store, image)
  }

  /// Makes the disk that has the system in `archive`.
  private func makeDisk(_ file: String, archive: String, work: String) throws {
    tell("making the disk")
    let made = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard made >= 0 else { throw HostError("write \(file)", code: errno) }
    close(made)
    let disk = BootDisk(
      path: file, size: recipe.size,
      signature: UInt32(recipe.fingerprint.prefix(8), radix: 16) ?? 0)
    try disk.write(work: work, with: grub)
    let dated = ["E2FSPROGS_FAKE_TIME": "\(DebianRecipe.date)", "LC_ALL": "C"]
    // One shell, so that owners and devices are the same for both programs.
    let script = """
      set -e; mkdir "$1/system"; tar --extract --preserve-permissions --numeric-owner \
        --directory "$1/system" --file "$2"; rm "$2"; shift 2; "$@"
      """
    try shell.run(
      shellArguments + ["-c", script, "sh", work, archive, mke2fs.path]
        + fileSystem(disk, tree: work + "/system"), environment: dated)
    try setDates(file, disk.partition.offset, work: work, environment: dated)
  }

  /// mke2fs' arguments.
  private func fileSystem(_ disk: BootDisk, tree: String) -> [String] {
    let options = "offset=\(disk.partition.offset),hash_seed=\(recipe.uuid),root_owner=0:0"
    return [
      "-q", "-t", "ext4", "-d", tree, "-U", recipe.uuid, "-E", options, disk.path,
      "\(disk.partition.kibibytes)k",
    ]
  }

  /// Gives every file the recipe's date as that of its last reading and change of state: mke2fs takes
  /// them from the unpacked files, which are as old as the unpacking.
  private func setDates(
    _ file: String, _ offset: Int, work: String, environment: [String: String]
  ) throws {
    let volume = "\(file)?offset=\(offset)"
    var counts: [String: Int] = [:]
    try dumpe2fs.run(["-h", volume], environment: environment) { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, let count = Int(parts[1].filter { $0 != " " }) else { return }
      counts[String(parts[0])] = count
    }
    guard let all = counts["Inode count"], let free = counts["Free inodes"], free < all else {
      throw Complaint("dumpe2fs does not tell how many files \(file) has")
    }
    // A new volume uses its first inodes; 3 to 10 are no files (ext4's documentation, special inodes).
    var script = ""
    for inode in [2] + Array(11..<max(11, all - free + 1)) {
      for field in ["atime", "ctime"] {
        script += "set_inode_field <\(inode)> \(field) @\(DebianRecipe.date)\n"
      }
    }
    let commands = work + "/dates"
    try OutputFile.save(Array(script.utf8), path: commands)
    try debugfs.run(["-w", "-f", commands, volume], environment: environment)
  }

  /// Makes the finished file read-only and durable.
  /// - Returns: its SHA-256.
  private func seal(_ file: String) throws -> String {
    let descriptor = Descriptor(owning: open(file, O_RDONLY | O_CLOEXEC))
    guard descriptor.number >= 0, fchmod(descriptor.number, 0o444) == 0,
      fsync(descriptor.number) == 0
    else { throw HostError("write \(file)", code: errno) }
    return try ContentDigest.ofFile(file) { _, _ in }
  }
}
