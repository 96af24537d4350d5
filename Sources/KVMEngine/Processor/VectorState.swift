import CKVM

/// Where the components of the host's XSAVE images lie in the standard format (Intel SDM vol. 1,
/// 13.4; CPUID leaf 0Dh). Vendors differ, so that components travel one by one.
public struct VectorLayout: Sendable {
  /// One component from number 2 on.
  public struct Place: Sendable {
    public let number: Int
    /// From the image's start.
    public let offset: Int
    public let bytes: Int
  }

  /// By number.
  public let places: [Place]
  /// Bytes of an image that holds them all.
  public let bytes: Int

  /// The legacy region, and the header behind it.
  public static let legacyBytes = 512
  static let headerBytes = 64

  /// The host's.
  public static let host = VectorLayout()

  private init() {
    var leaf: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
    func read(_ subleaf: UInt32) -> (UInt32, UInt32, UInt32, UInt32) {
      withUnsafeMutablePointer(to: &leaf) {
        $0.withMemoryRebound(to: UInt32.self, capacity: 4) { ckvm_cpuid(0xD, subleaf, $0) }
      }
      return leaf
    }
    let supported = read(0)
    let mask = UInt64(supported.3) << 32 | UInt64(supported.0)
    var places: [Place] = []
    for number in 2..<63 where mask & (1 << UInt64(number)) != 0 {
      let place = read(UInt32(number))
      places.append(Place(number: number, offset: Int(place.1), bytes: Int(place.0)))
    }
    self.places = places
    bytes = places.map { $0.offset + $0.bytes }.max() ?? Self.legacyBytes + Self.headerBytes
  }
}

/// The floating-point and vector registers of one processor, and which of them the guest turned on.
///
/// Components in their initial state are left out, and what the legacy region holds for the host's
/// own use is zero, so that equal states are equal values.
public struct VectorState: Codable, Equatable, Sendable {
  /// A component of the XSAVE image from number 2 on, as its bytes.
  public struct Component: Codable, Equatable, Sendable {
    public var number: Int
    public var bytes: [UInt8]

    public init(number: Int, bytes: [UInt8]) {
      self.number = number
      self.bytes = bytes
    }
  }

  /// XCR0.
  public var xcr0: UInt64 = 1
  /// The FXSAVE image, 512 bytes, of 64-bit form (Intel SDM vol. 1, table 10-2).
  public var legacy = VectorState.initialLegacy
  /// Those that are not in their initial state, which is all zeroes; by number.
  public var components: [Component] = []

  private enum Field {
    static let x87 = 0..<24
    static let x87Registers = 32..<160
    static let vectors = 160..<416
    static let mask = 28..<32
    static let spare = 416..<512
    static let control: [UInt8] = [0x7F, 0x03]
  }

  private static let mostComponents = 61
  private static let mostComponentBytes = 1 << 16

  public init() {}

  private static var initialLegacy: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: VectorLayout.legacyBytes)
    bytes.replaceSubrange(0..<2, with: Field.control)
    bytes.replaceSubrange(24..<26, with: [0x80, 0x1F])
    return bytes
  }

  /// Reads an XSAVE image of standard format, or with `isLegacyOnly` an FXSAVE image.
  public init(
    image: UnsafeRawBufferPointer, xcr0: UInt64, isLegacyOnly: Bool = false,
    layout: VectorLayout = .host
  ) {
    self.xcr0 = xcr0
    guard image.count >= VectorLayout.legacyBytes else { return }
    legacy = Array(image[..<VectorLayout.legacyBytes])
    let hasHeader = !isLegacyOnly && image.count >= VectorLayout.legacyBytes + 8
    let present =
      hasHeader
      ? image.loadUnaligned(fromByteOffset: VectorLayout.legacyBytes, as: UInt64.self) : 3
    if present & 1 == 0 {
      clear(Field.x87)
      clear(Field.x87Registers)
      legacy.replaceSubrange(0..<2, with: Field.control)
    }
    if present & 2 == 0 { clear(Field.vectors) }
    clear(Field.mask)
    clear(Field.spare)
    guard hasHeader else { return }
    for place in layout.places where present & (1 << UInt64(place.number)) != 0 {
      guard place.offset + place.bytes <= image.count else { continue }
      let bytes = Array(image[place.offset..<(place.offset + place.bytes)])
      guard bytes.contains(where: { $0 != 0 }) else { continue }
      components.append(Component(number: place.number, bytes: bytes))
    }
  }

  private mutating func clear(_ range: Range<Int>) {
    legacy.replaceSubrange(range, with: repeatElement(0, count: range.count))
  }

  /// Which components the state uses or has turned on.
  public var mask: UInt64 {
    components.reduce(xcr0) { $0 | 1 << UInt64(truncatingIfNeeded: $1.number & 63) }
  }

  /// Why this can't be a state; nil where it can.
  var problem: String? {
    if legacy.count != VectorLayout.legacyBytes { return "its floating-point state is cut" }
    if xcr0 & 1 == 0 || xcr0 & 6 == 4 { return "XCR0 is not possible" }
    if legacy[26] != 0 || legacy[27] != 0 { return "MXCSR is not possible" }
    if components.count > Self.mostComponents { return "it has too many vector components" }
    for component in components {
      guard 2..<63 ~= component.number, 1...Self.mostComponentBytes ~= component.bytes.count else {
        return "vector component \(component.number) is not possible"
      }
    }
    return nil
  }

  /// Writes an XSAVE image of standard format; all of `image` is written.
  /// - Throws: ``ProcessorStateError`` where the host lacks a component.
  public func write(
    to image: UnsafeMutableRawBufferPointer, layout: VectorLayout = .host
  ) throws(ProcessorStateError) {
    image.initializeMemory(as: UInt8.self, repeating: 0)
    guard image.count >= VectorLayout.legacyBytes + VectorLayout.headerBytes else {
      throw ProcessorStateError("the vector state has no room")
    }
    image.copyBytes(from: legacy.prefix(VectorLayout.legacyBytes))
    var present: UInt64 = 3
    for component in components {
      guard let place = layout.places.first(where: { $0.number == component.number }),
        place.bytes == component.bytes.count, place.offset + place.bytes <= image.count
      else { throw Self.lacks(component.number) }
      UnsafeMutableRawBufferPointer(rebasing: image[place.offset..<(place.offset + place.bytes)])
        .copyBytes(from: component.bytes)
      present |= 1 << UInt64(place.number)
    }
    image.storeBytes(of: present, toByteOffset: VectorLayout.legacyBytes, as: UInt64.self)
  }

  /// The complaint about a component that an engine does not have.
  public static func lacks(_ number: Int) -> ProcessorStateError {
    let name =
      switch number {
      case 2: "AVX"
      case 3, 4: "MPX"
      case 5, 6, 7: "AVX-512"
      case 9: "protection keys"
      case 17, 18: "AMX"
      default: "vector component \(number)"
      }
    return ProcessorStateError(
      "the guest uses \(name), which the processor that it is to go on with does not have")
  }
}
