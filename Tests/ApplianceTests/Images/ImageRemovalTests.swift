import Glibc
import Testing

@testable import Appliance

@Suite struct ImageRemovalTests {
  /// A store with two images, and a desktop whose disk is an overlay on the first.
  private func withUsedImage(_ body: (ImageStore, String) throws -> Void) throws {
    try withImageStore { (store, folder) throws in
      try write(noise(1000), folder + "/a.img")
      try write(noise(1000, seed: 2), folder + "/b.img")
      let image = try importFile(store, "a", folder + "/a.img").image
      try importFile(store, "b", folder + "/b.img")
      let desktop = store.directories.desktops + "/desk"
      try write(qcow2(backing: image.path), desktop + "/disk.qcow2")
      try body(store, desktop)
    }
  }

  @Test func anImageBelowAnOverlayStays() throws {
    try withUsedImage { (store, _) throws in
      #expect("the desktop is named") {
        try store.delete("a")
      } throws: {
        "\($0)".contains("desk") && "\($0)".contains("--force")
      }
      #expect(try store.names() == ["a", "b"])
      try store.delete("a", force: true)
      #expect(try store.names() == ["b"])
    }
  }

  @Test func whatAConfigurationNamesStays() throws {
    try withUsedImage { (store, desktop) throws in
      let path = try store.image(named: "b").path
      try write(Array("cdrom:\n  - \(path)\n".utf8), desktop + "/desktop.yaml")
      #expect(throws: Complaint.self) { try store.delete("b") }
      // By a way of its own, too.
      try write(Array("disk: ../../images/b/disk.raw\n".utf8), desktop + "/desktop.yaml")
      #expect(throws: Complaint.self) { try store.delete("b") }
    }
  }

  @Test func pruneTakesWhatNobodyNeeds() throws {
    try withUsedImage { (store, _) throws in
      #expect(try store.prune(dryRun: true).pruned == ["b"])
      #expect(try store.names() == ["a", "b"])
      #expect(try store.prune(dryRun: false).pruned == ["b"])
      #expect(try store.names() == ["a"])
    }
  }

  @Test func aDesktopThatNobodyCanReadKeepsEveryImage() throws {
    try withUsedImage { (store, desktop) throws in
      try write(Array("disk: [".utf8), desktop + "/desktop.yaml")
      let outcome = try store.prune(dryRun: false)
      #expect(outcome.pruned.isEmpty && outcome.problems.count == 1)
      #expect("why") { try store.delete("b") } throws: { "\($0)".contains("desktop.yaml") }
    }
  }

  @Test func leftoversOfDeadCommandsGoAndThoseOfLivingStay() throws {
    try withImageStore { (store, folder) throws in
      let images = store.directories.images
      let living = try ImageDraft(in: images)
      try write([1], living.path + "/disk.raw")
      try write([1], images + "/.new-1-0/disk.raw")
      try write([1], images + "/.old-1-a/disk.raw")
      ImageDraft.tidy(images)
      #expect(
        try Folder.names(in: images) == [living.path.split(separator: "/").last.map(String.init)])
      try living.publish(as: "done")
      ImageDraft.tidy(images)
      #expect(try Folder.names(in: images) == ["done"])
    }
  }

  @Test func anImageIsHeldWhileAnOverlayIsMade() throws {
    try withUsedImage { (store, _) throws in
      let hold = try store.hold("b")
      #expect(ImageFolderLock.ifFree(store.folder(of: "b")) == nil)
      withExtendedLifetime(hold) {}
      #expect(throws: Complaint.self) { try store.hold("c") }
    }
  }
}
