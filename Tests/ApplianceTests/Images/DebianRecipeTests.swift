import Testing

@testable import Appliance

@Suite struct DebianRecipeTests {
  private let recipe = DebianRecipe(packages: ["nano", "vim-tiny", "cowsay"], password: "secret")

  @Test func packagesAreNamedOnceAndInOneOrder() {
    let packages = recipe.allPackages
    #expect(Set(packages).count == packages.count)
    #expect(packages.first == "linux-image-cloud-amd64" && packages.last == "nano")
    var other = recipe
    other.packages = ["cowsay", "vim-tiny", "nano", "nano"]
    #expect(other.allPackages == packages && other.uuid == recipe.uuid)
  }

  @Test func whatIsMadeOfSomethingElseHasAnotherUUID() {
    var other = recipe
    other.release = "trixie"
    #expect(other.uuid != recipe.uuid)
    // RFC 9562: the version and the variant.
    let digits = Array(recipe.uuid)
    #expect(digits.count == 36 && digits[14] == "8" && digits[19] == "8")
    other = recipe
    other.password = "other"
    #expect(other.uuid == recipe.uuid && other.salt != recipe.salt)
  }

  @Test func thePasswordStandsOnNoCommandLine() {
    let arguments = recipe.arguments(archive: "/x.tar")
    #expect(!arguments.contains { $0.contains("secret") })
    #expect(recipe.environment["PORTHOLE_PASSWORD"] == "secret")
    #expect(arguments.suffix(2) == ["bookworm", "/x.tar"])
  }

  @Test(arguments: [
    "", "-rf", "a,b", "a b", "--include=x", "A", "$(reboot)", "bookworm\n", "../x", "ä",
  ])
  func wordsThatAnotherProgramCouldTakeForMoreAreRefused(_ text: String) {
    #expect(throws: Complaint.self) { try DebianRecipe.release(text) }
    #expect(throws: Complaint.self) { try DebianRecipe.package(text) }
    #expect(throws: Complaint.self) { try DebianRecipe.user(text) }
    #expect(throws: Complaint.self) { try DebianRecipe.mirror(text) }
  }

  @Test func namesThatThereAreAreTaken() throws {
    #expect(try DebianRecipe.release("trixie") == "trixie")
    #expect(try DebianRecipe.package("libstdc++6") == "libstdc++6")
    #expect(try DebianRecipe.user("anna-2") == "anna-2")
    #expect(throws: Complaint.self) { try DebianRecipe.user("root") }
    #expect(throws: Complaint.self) { try DebianRecipe.user("2fast") }
    #expect(try DebianRecipe.size("4G") == 4 << 30)
    #expect(throws: Complaint.self) { try DebianRecipe.size("512M") }
  }

  @Test func aProgramThatIsMissingNamesItsPackage() {
    #expect("what to install") {
      try Program("no-such-program", package: "some-package")
    } throws: {
      "\($0)".contains("apt install some-package")
    }
  }

  @Test func aProgramsComplaintIsTheError() throws {
    let shell = try Program("sh", package: "dash")
    var lines: [String] = []
    try shell.run(["-c", "echo $WORD; echo two >&2"], environment: ["WORD": "one"]) {
      lines.append($0)
    }
    #expect(lines == ["one", "two"])
    #expect("its own words") {
      try shell.run(["-c", "echo 'E: no such release'; echo W: more; exit 3"])
    } throws: {
      "\($0)" == "sh failed: no such release"
    }
  }

  @Test func aDiskHasALoaderAndOnePartitionBehindIt() throws {
    try withTemporaryFolder { (folder) throws in
      guard let grub = try? BootDisk.grubProgram() else { return }
      let path = folder + "/disk.raw"
      try write([], path)
      let disk = BootDisk(path: path, size: 8 << 20, signature: 0x0102_0304)
      try disk.write(work: folder, with: grub)
      let bytes = try DurableFile.read(path, limit: 8 << 20) ?? []
      #expect(bytes.count == 8 << 20)
      #expect(Array(bytes[440..<444]) == [4, 3, 2, 1])
      let entry: [UInt8] = [0x80, 32, 33, 0, 0x83, 5, 4, 1, 0, 8, 0, 0, 0, 56, 0, 0]
      #expect(Array(bytes[446..<462]) == entry)
      #expect(bytes[510] == 0x55 && bytes[511] == 0xAA)
      #expect(disk.partition == (1 << 20, 7 << 10))
    }
  }
}
