import Glibc
import KVMEngine
import Machine
import Testing

@testable import Appliance

@Suite struct SmallCommandTests {
  @Test func aSavedPictureReplacesTheOldOneWhole() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/shot.png"
      try OutputFile.save([1, 2, 3, 4], path: path)
      try OutputFile.save([9], path: path)
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_size == 1)
      #expect(access("\(path).\(getpid()).part", F_OK) != 0)
    }
  }

  @Test func aFolderThatIsMissingIsASentence() throws {
    try withTemporaryFolder { folder in
      let error = #expect(throws: HostError.self) {
        try OutputFile.save([1], path: folder + "/no/shot.png")
      }
      #expect(error?.description.contains("shot.png: no such file") == true)
    }
  }

  @Test func theDoctorNamesWhatIsMissing() throws {
    let good = try capability("KVM", present: true, needed: true)
    let extra = try capability("SMM", present: false, needed: false)
    let bad = try capability("IRQFD", present: false, needed: true)
    let whole = EngineChoice(.whole)
    #expect(DoctorCommand.report([good, extra], whole).contains("no       SMM"))
    #expect(DoctorCommand.report([good, bad], whole).contains("MISSING  IRQFD"))
    #expect(DoctorCommand.report([good], whole).contains("--engine kvm: this host's KVM runs"))
    #expect(try DoctorCommand.json([bad], whole).contains("\"engine\" : \"kvm\""))
  }

  @Test func everyHostGetsTheBestEngineThatItCanRun() throws {
    #expect(EngineChoice(.whole).engine == .kvm)
    #expect(EngineChoice(.userCodeOnly).engine == .hybrid)
    let none = EngineChoice(.none("cannot open /dev/kvm: no such file"))
    #expect(none.engine == .software)
    #expect(none.reason.contains("cannot open /dev/kvm"))
  }

  @Test func aBuiltInGuestIsAWholeBootableFloppy() throws {
    #expect(!BuiltInGuest.all.isEmpty)
    for guest in BuiltInGuest.all {
      let floppy = try GuestCommand.floppy(guest.name)
      #expect(floppy.count == 1_474_560)
      #expect(floppy[510...511] == [0x55, 0xAA])
    }
  }

  private func capability(
    _ name: String, present: Bool, needed: Bool
  ) throws -> HostCapability {
    let text = #"{"name":"\#(name)","present":\#(present),"needed":\#(needed),"meaning":"m"}"#
    return try ControlCoding.message(HostCapability.self, in: Array(text.utf8))
  }

  @Test func aListedDesktopIsOneLine() {
    let status = DesktopStatus(name: "a", pid: 7, vnc: nil, memory: 64 << 20, processors: 1)
    #expect(ListCommand.line(status) == "a\tpid 7\tvnc none\t64M")
  }
}
