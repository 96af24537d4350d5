import KVMEngine
import Synchronization

/// What stock firmware is told of the machine: numbered items of bytes, some of them files with
/// names (QEMU's "Firmware Configuration (fw_cfg) Device", docs/specs/fw_cfg; Linux,
/// Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg).
///
/// Port 510h selects an item, port 511h reads it a byte at a time; ports 514h to 51Bh take the
/// address of a DMA request, big-endian, whose lower half starts it. Items can't be written.
public final class FirmwareConfigurationDevice: Device {
  /// Where the guest is in which item.
  public struct SavedState: Codable, Equatable, Sendable {
    var selector: UInt16 = 0
    var offset: UInt64 = 0
    var addressHigh: UInt32 = 0
  }

  /// Items with fixed numbers.
  enum Item {
    static let signature: UInt16 = 0x00
    static let interfaces: UInt16 = 0x01
    static let processors: UInt16 = 0x05
    static let bootMenu: UInt16 = 0x0E
    static let maximumProcessors: UInt16 = 0x0F
    static let directory: UInt16 = 0x19
    static let firstFile: UInt16 = 0x20
  }

  /// Bits of a DMA request's control word.
  private enum Request {
    static let error: UInt32 = 1 << 0
    static let read: UInt32 = 1 << 1
    static let skip: UInt32 = 1 << 2
    static let select: UInt32 = 1 << 3
    static let write: UInt32 = 1 << 4
  }

  /// What the DMA address port reads as: "QEMU CFG".
  private static let dmaSignature: UInt64 = 0x5145_4D55_2043_4647
  private static let mostFiles = 64
  private static let nameBytes = 56
  /// The largest piece that one DMA request moves at a time.
  private static let pieceBytes = 65_536
  /// Bit 14 asked for writing once; bit 15 tells items of one architecture from the others.
  private static let selectorMask: UInt16 = 0xBFFF

  public let name = "fw-cfg"
  private let items: [UInt16: [UInt8]]
  private let memory: AddressSpace
  private let state = Mutex(SavedState())

  /// - Parameters:
  ///   - processors: how many the machine has.
  ///   - files: contents by name, such as `etc/e820`.
  ///   - memory: where DMA goes.
  public init(processors: Int, files: [(name: String, bytes: [UInt8])], memory: AddressSpace) {
    func word(_ value: Int) -> [UInt8] { AML.littleEndian(UInt32(truncatingIfNeeded: value), 2) }
    var items: [UInt16: [UInt8]] = [
      Item.signature: Array("QEMU".utf8), Item.interfaces: [3, 0, 0, 0],
      Item.processors: word(processors), Item.maximumProcessors: word(processors),
      Item.bootMenu: [1, 0],
    ]
    let known = files.sorted { $0.name < $1.name }.prefix(Self.mostFiles)
    var directory = Self.bigEndian(UInt32(known.count), 4)
    for (index, file) in known.enumerated() {
      let selector = Item.firstFile + UInt16(index)
      items[selector] = file.bytes
      var name = Array(file.name.utf8.prefix(Self.nameBytes - 1))
      name += [UInt8](repeating: 0, count: Self.nameBytes - name.count)
      directory += Self.bigEndian(UInt32(truncatingIfNeeded: file.bytes.count), 4)
      directory += Self.bigEndian(UInt32(selector), 2) + [0, 0] + name
    }
    items[Item.directory] = directory
    self.items = items
    self.memory = memory
  }

  private static func bigEndian(_ value: UInt32, _ count: Int) -> [UInt8] {
    AML.littleEndian(value, count).reversed()
  }

  // MARK: Items

  /// The next bytes of the selected item; zeroes behind its end.
  private func take(_ count: Int, _ state: inout SavedState) -> [UInt8] {
    let item = items[state.selector & Self.selectorMask] ?? []
    let start = Int(min(state.offset, UInt64(item.count)))
    let end = min(item.count, start + max(0, count))
    state.offset = min(state.offset &+ UInt64(max(0, count)), UInt64(UInt32.max))
    return Array(item[start..<end]) + [UInt8](repeating: 0, count: max(0, count) - (end - start))
  }

  /// The DMA request at guest-physical `address`: control, length and address, big-endian.
  private func serve(_ address: UInt64, _ state: inout SavedState) {
    let control = UInt32(bigEndian: memory.load(address, as: UInt32.self))
    let length = UInt32(bigEndian: memory.load(address &+ 4, as: UInt32.self))
    let target = UInt64(bigEndian: memory.load(address &+ 8, as: UInt64.self))
    if control & Request.select != 0 {
      state.selector = UInt16(truncatingIfNeeded: control >> 16)
      state.offset = 0
    }
    var result: UInt32 = 0
    if control & Request.read != 0 {
      copy(Int(length), to: target, &state)
    } else if control & Request.skip != 0 {
      state.offset = min(state.offset &+ UInt64(length), UInt64(UInt32.max))
    } else if control & Request.write != 0 {
      result = Request.error
    }
    memory.store(result.bigEndian, at: address)
  }

  /// Moves `length` bytes; behind the item's end zeroes, but of those no more than one piece, since
  /// no firmware asks for more than an item has.
  private func copy(_ length: Int, to target: UInt64, _ state: inout SavedState) {
    let item = items[state.selector & Self.selectorMask]?.count ?? 0
    let there = max(0, item - Int(min(state.offset, UInt64(item))))
    var left = min(length, there + Self.pieceBytes)
    var address = target
    while left > 0 {
      let piece = take(min(left, Self.pieceBytes), &state)
      memory.write(address, bytes: piece)
      address &+= UInt64(piece.count)
      left -= piece.count
    }
  }

  // MARK: Device

  public func reset() { state.withLock { $0 = SavedState() } }
  public func save() -> SavedState { state.withLock { $0 } }

  public func restore(_ saved: SavedState) throws(RestoreError) {
    state.withLock { $0 = saved }
  }

  /// Ports 510h and 511h. Registered as native.
  public var selectorPorts: any PortDevice { SelectorPorts(self) }
  /// Ports 514h to 51Bh. Registered as native.
  public var dmaPorts: any PortDevice { DMAPorts(self) }

  private final class SelectorPorts: PortDevice {
    private let device: FirmwareConfigurationDevice
    init(_ device: FirmwareConfigurationDevice) { self.device = device }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      device.state.withLock { state in
        guard offset == 1 else { return UInt32(state.selector) }
        return UInt32(device.take(1, &state).first ?? 0)
      }
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      guard offset == 0, width == .word else { return }
      device.state.withLock { state in
        state.selector = UInt16(truncatingIfNeeded: value)
        state.offset = 0
      }
    }
  }

  private final class DMAPorts: PortDevice {
    private let device: FirmwareConfigurationDevice
    init(_ device: FirmwareConfigurationDevice) { self.device = device }

    func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
      UInt32(truncatingIfNeeded: dmaSignature.bigEndian >> UInt64((offset & 7) * 8))
    }

    func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
      guard width == .dword else { return }
      device.state.withLock { state in
        if offset == 0 { state.addressHigh = value.byteSwapped }
        guard offset == 4 else { return }
        let address = UInt64(state.addressHigh) << 32 | UInt64(value.byteSwapped)
        state.addressHigh = 0
        device.serve(address, &state)
      }
    }
  }
}
