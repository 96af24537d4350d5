import DeviceTestKit
import Display
import Glibc
import KVMEngine
import Testing

private let hasKVM = access("/dev/kvm", R_OK | W_OK) == 0

@Suite struct VideoAdapterTests {
  @Test func conforms() throws {
    let kit = try AdapterKit()
    let clock = kit.clock
    let block = try MemoryBlock(name: "video", size: VideoAdapter.memoryBytes)
    let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    var conformance = DeviceConformance<VideoAdapter>(
      make: {
        VideoAdapter(
          memory: block, clock: clock, legacyWindow: space.makeWindow(block),
          linearWindow: space.makeWindow(block))
      },
      ports: { adapter in
        [
          (adapter as any PortDevice, VideoAdapter.ports),
          (adapter.dispiPorts, VideoAdapter.dispiPortRange),
        ]
      },
      memories: { adapter in
        [
          (adapter as any MemoryDevice, UInt64(0x20000)),
          (adapter.linearMemory, UInt64(VideoAdapter.visibleBytes)),
        ]
      })
    conformance.between = { _ in clock.advance(1_000_000) }
    conformance.comparesTwins = false
    conformance.tamperedStates = 150
    #expect(conformance.violations(seed: 11) == [])
  }

  @Test func tamperedStatesCanBeDrawn() throws {
    let kit = try AdapterKit()
    var generator = SplitMix64(seed: 5)
    for _ in 0..<60 {
      for number in 0..<25 {
        kit.adapter.setRegister(.crtc(number), to: UInt8(truncatingIfNeeded: generator.next()))
      }
      let state = kit.adapter.save()
      let other = try AdapterKit()
      try other.adapter.restore(state)
      #expect(other.adapter.save() == state)
      other.update()
    }
  }

  @Test func aRestoredScreenLooksTheSame() throws {
    let kit = try AdapterKit()
    kit.setTextMode()
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x1E, 0x42, 0x87])
    let before = kit.adapter.capture()
    let state = kit.adapter.save()
    kit.adapter.reset()
    kit.update()
    #expect(kit.pixel(0, 0) == 0)
    try kit.adapter.restore(state)
    let after = kit.adapter.capture()
    #expect(after.size == before.size)
    // SAFETY: both pictures have this size.
    let count = before.size.width * before.size.height
    #expect((0..<count).allSatisfy { before.pixels[$0] == after.pixels[$0] })
    #expect(before.pixels[1] != 0)
  }

  @Test func screenshotsAreNumberedByTheChangesThatWereNoticed() throws {
    let kit = try AdapterKit()
    kit.setTextMode()
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x1E])
    let first = kit.adapter.screenshot()
    kit.clock.advance(1_000_000)
    let second = kit.adapter.screenshot()
    #expect(second.sequence == first.sequence)
    #expect(second.time == first.time + 1_000_000)
    #expect(second.damageAge == first.damageAge + 1_000_000)
    kit.poke(0xB8000, 0x42)
    let third = kit.adapter.screenshot()
    #expect(third.sequence == first.sequence + 1)
    #expect(third.damageAge == 0)
    // The display thread's look finds nothing new, and the change all the same.
    #expect(kit.update(everything: false).damage.count > 0)
    #expect(kit.adapter.screenshot().sequence == third.sequence)
  }

  @Test func aSteadyPictureShowsWhatBlinks() throws {
    let kit = try AdapterKit()
    kit.setTextMode()
    kit.adapter.writeText(offset: 0, bytes: [0x41, 0x9E])
    var usual: Set<UInt64> = []
    var steady: Set<UInt64> = []
    for _ in 0..<20 {
      kit.clock.advance(100_000_000)
      usual.insert(kit.adapter.screenshot().frame.digest)
      steady.insert(kit.adapter.screenshot(steady: true).frame.digest)
    }
    #expect(usual.count > 1)
    #expect(steady.count == 1)
  }

  /// Random registers, accesses and drawing, with a fixed seed: nothing traps, and the picture that
  /// grew by updates is the one that is drawn afresh.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func randomGuestsNeverTrapAndNeverLeaveStalePixels(seed: UInt64) throws {
    let kit = try AdapterKit()
    var generator = SplitMix64(seed: seed)
    for step in 0..<120 {
      scramble(kit, &generator, step: step)
      kit.clock.advance(generator.next() % 300_000_000)
      let update = kit.update()
      #expect(update.damage.count <= 200)
      for rect in update.damage {
        #expect(rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0)
        #expect(rect.x + rect.width <= kit.frame.size.width)
        #expect(rect.y + rect.height <= kit.frame.size.height)
      }
      let size = kit.frame.size
      #expect(size.width <= 2560 && size.height <= 1600)
      guard step % 8 == 0 else { continue }
      let fresh = kit.adapter.capture()
      guard fresh.size == size else { continue }
      var differing = 0
      for index in 0..<(size.width * size.height)
      where fresh.pixels[index] != kit.frame.pixels[index] { differing += 1 }
      #expect(differing == 0, "step \(step)")
    }
  }

  private func scramble(_ kit: AdapterKit, _ generator: inout SplitMix64, step: Int) {
    let modes = [Modes.text, Modes.mode13, Modes.mode12, Modes.mode4, Modes.mode6]
    if step % 10 == 0 {
      kit.adapter.disableDispi()
      kit.adapter.loadRegisters(modes[Int(generator.next() % UInt64(modes.count))])
      kit.loadColors()
    }
    for _ in 0..<6 {
      let value = UInt8(truncatingIfNeeded: generator.next())
      let index = UInt8(truncatingIfNeeded: generator.next())
      switch generator.next() % 16 {
      case 0...2: kit.crtc(index % 25, value)
      case 3: kit.sequencer(index % 5, value & ~0x20)
      case 4: kit.graphics(index % 9, value)
      case 5: kit.attribute(index % 21, value)
      case 6: kit.dispi(UInt16(index % 11), UInt16(truncatingIfNeeded: generator.next()))
      case 7:
        kit.dispi(4, 0)
        kit.dispi(1, UInt16(generator.next() % 700))
        kit.dispi(2, UInt16(generator.next() % 500))
        kit.dispi(3, [4, 8, 15, 16, 24, 32][Int(index % 6)])
        kit.dispi(4, 0xC1)
      default:
        for _ in 0..<20 {
          let place = 0xA0000 + generator.next() % 0x20000
          kit.poke(place, UInt8(truncatingIfNeeded: generator.next()))
        }
        kit.poke(
          (kit.adapter.linearAddress ?? 0) + generator.next() % UInt64(VideoAdapter.visibleBytes),
          value)
      }
    }
  }

  @Test func statusFollowsTheClock() throws {
    let kit = try AdapterKit()
    kit.adapter.loadRegisters(Modes.text)
    var retraces = 0
    var before: UInt8 = 0
    var shown = 0
    for _ in 0..<10_000 {
      let status = kit.input(0x3DA)
      if status & 8 != 0 && before & 8 == 0 { retraces += 1 }
      if status & 1 == 0 { shown += 1 }
      before = status
      kit.clock.advance(100_000)
    }
    #expect(retraces == 70)
    #expect((6_000..<8_000).contains(shown))
  }

  @Test func readingTheStatusResetsTheAttributeFlipFlop() throws {
    let kit = try AdapterKit()
    kit.adapter.loadRegisters(Modes.text)
    kit.out(0x3C0, 0x21)
    _ = kit.input(0x3DA)
    kit.out(0x3C0, 0x22)
    kit.out(0x3C0, 0x2A)
    #expect(kit.adapter.register(.attribute(2)) == 0x2A)
    #expect(kit.input(0x3C1) == 0x2A)
    #expect(kit.adapter.register(.attribute(1)) == 1)
  }

  @Test func thePortsMoveWithTheMonochromeBit() throws {
    let kit = try AdapterKit()
    kit.adapter.loadRegisters(Modes.text)
    kit.crtc(0x0F, 0x12)
    #expect(kit.input(0x3D5) == 0x12)
    #expect(kit.input(0x3B5) == 0xFF)
    kit.out(0x3C2, 0x66)
    #expect(kit.input(0x3B5) == 0x12)
    #expect(kit.input(0x3D5) == 0xFF)
  }

  @Test func theCRTControllersTimingIsProtected() throws {
    let kit = try AdapterKit()
    kit.adapter.loadRegisters(Modes.text)
    kit.crtc(1, 0x27)
    #expect(kit.adapter.register(.crtc(1)) == 0x4F)
    kit.crtc(7, 0x0F)
    #expect(kit.adapter.register(.crtc(7)) == 0x0F)
    kit.crtc(0x11, 0x0E)
    kit.crtc(1, 0x27)
    kit.update()
    #expect(kit.frame.size.width == 360)
  }

  @Test func aWordToAnIndexPortIsAnIndexAndItsData() throws {
    let kit = try AdapterKit()
    kit.adapter.loadRegisters(Modes.text)
    kit.adapter.writePort(0x3D4 - 0x3B4, width: .word, value: 0x340E)
    #expect(kit.adapter.register(.crtc(0x0E)) == 0x34)
    kit.adapter.dispiPorts.writePort(0, width: .dword, value: 0x0320_0001)
    #expect(kit.adapter.dispiState.width == 800)
  }

  /// The mappings are ones that the host's KVM takes, through every kind of mode and back.
  @Test(.enabled(if: hasKVM, "this host has no usable /dev/kvm"))
  func theHostTakesTheMappings() throws {
    let complaints = Counter()
    let kit = try AdapterKit(
      slots: KVMVirtualMachine(KVMSystem()), log: { _ in complaints.add() })
    for _ in 0..<3 {
      kit.setTextMode()
      kit.crtc(0x0A, 0x20)
      kit.update()
      kit.poke(0xB8000, 0x41)
      #expect(kit.update().damage == [FrameRect(x: 0, y: 0, width: 9, height: 16)])
      kit.adapter.loadRegisters(Modes.mode12)
      kit.poke(0xA0000, 0xFF)
      kit.adapter.loadRegisters(Modes.mode13)
      kit.update()
      kit.poke(0xA0000 + 320, 7)
      #expect(kit.update().damage == [FrameRect(x: 0, y: 1, width: 16, height: 1)])
      #expect(kit.adapter.dispiMode(width: 640, height: 480, bpp: 8, linear: false, clear: true))
      for bank in 0..<4 {
        kit.adapter.bank = bank
        for _ in 0..<5 { kit.poke(0xA0000, 3) }
      }
      kit.update()
      #expect(kit.pixel(0x10000 % 640, 0x10000 / 640) == AdapterKit.gray(3))
      kit.adapter.disableDispi()
    }
    #expect(complaints.value == 0)
  }

  @Test func theFirmwareReadsBackWhatItStored() throws {
    let kit = try AdapterKit()
    kit.adapter.loadRegisters(Modes.text)
    #expect(kit.adapter.registers == Modes.text)
    kit.adapter.loadPalette(first: 254, [(1, 2, 3), (4, 5, 70), (7, 8, 9)])
    let colors = kit.adapter.readPalette(first: 253, count: 9)
    #expect(colors.map { [$0.0, $0.1, $0.2] } == [[0, 0, 0], [1, 2, 3], [4, 5, 6]])
    kit.adapter.writeText(offset: 32_766, bytes: [1, 2, 3])
    #expect(kit.adapter.readText(offset: 32_766, count: 9) == [1, 2])
    #expect(kit.adapter.readText(offset: 0, count: 1) == [0])
    kit.adapter.fillLinear(offset: 1 << 20, count: 4, 9)
    kit.adapter.writeLinear(offset: 1 << 20 | 2, bytes: [5])
    #expect(kit.adapter.readLinear(offset: 1 << 20, count: 5) == [9, 9, 5, 9, 0])
    kit.adapter.writeLinear(offset: (16 << 20) - 1, bytes: [1, 2])
    #expect(kit.adapter.readLinear(offset: (16 << 20) - 1, count: 4) == [1])
    #expect(kit.adapter.readLinear(offset: -5, count: -1) == [])
    kit.adapter.loadFont(map: 1, first: 255, height: 8, glyphs: (1...16).map { UInt8($0) })
    #expect(kit.adapter.readPlane(2, offset: 0x4000 + 255 * 32 + 7) == 8)
    #expect(kit.adapter.readPlane(2, offset: 0x4000 + 255 * 32 + 8) == 0)
    #expect(kit.adapter.dispiMode(width: 800, height: 600, bpp: 16, linear: true, clear: true))
    kit.adapter.virtualWidth = 1024
    kit.adapter.setDisplayStart(x: 8, y: 16)
    kit.adapter.bank = 9
    let state = kit.adapter.dispiState
    #expect(state.pitch == 2048 && state.virtualHeight == 8192 && state.bank == 9)
    #expect(state.x == 8 && state.y == 16 && state.virtualWidth == 1024)
  }
}
