import Display
import Glibc
import Testing

/// Every mode's picture against the one that was looked at, by its checksum. PORTHOLE_PICTURES names
/// a folder to write the pictures to.
@Suite struct ModePictureTests {
  /// FNV-1a over size and pixels.
  private static func checksum(_ frame: Frame) -> UInt64 {
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    func add(_ value: UInt32) { sum = (sum ^ UInt64(value)) &* 0x0100_0000_01B3 }
    add(UInt32(frame.size.width))
    add(UInt32(frame.size.height))
    for index in 0..<(frame.size.width * frame.size.height) { add(frame.pixels[index]) }
    return sum
  }

  private static func write(_ frame: Frame, _ name: String, in folder: String) throws -> String {
    let file = String(name.map { $0.isLetter || $0.isNumber ? $0 : "-" })
    let path = "\(folder)/porthole-\(file).png"
    try PNGImage.write(frame, to: path)
    return path
  }

  @Test(arguments: ModePicture.all)
  func isAsItWasSeen(_ picture: ModePicture) throws {
    let rig = try VideoRig()
    picture.draw(rig)
    let frame = rig.adapter.capture()
    if let folder = getenv("PORTHOLE_PICTURES") {
      _ = try Self.write(frame, picture.name, in: String(cString: folder))
    }
    let sum = Self.checksum(frame)
    guard sum != Self.seen[picture.name] else { return }
    let path = try Self.write(frame, picture.name, in: "/tmp")
    Issue.record("\"\(picture.name)\": 0x\(String(sum, radix: 16, uppercase: true)), see \(path)")
  }

  private static let seen: [String: UInt64] = [
    "mode 00h": 0x3B85_B216_CD34_3326,
    "mode 01h": 0x3B85_B216_CD34_3326,
    "mode 02h": 0x4408_CA78_A2A4_067B,
    "mode 03h": 0x4408_CA78_A2A4_067B,
    "mode 07h": 0xEFF6_CA6C_3F77_3FCE,
    "text, bright backgrounds": 0xF251_34D9_A493_56F6,
    "text, 43 rows of 350 lines": 0xFDDA_83C8_3152_423F,
    "text, 50 rows": 0xD10F_A5F9_BA1C_7D13,
    "text, 28 rows": 0xE129_68E4_1847_1B3D,
    "text, 200 lines": 0x491B_30D3_8E6A_84A0,
    "text, 512 characters": 0x0F18_E2CE_A4B9_6245,
    "text, eight dots": 0x27F3_B0CD_DCB8_1B49,
    "text, scrolled smoothly": 0x63F1_F5DE_3056_2797,
    "text, split at line 200": 0xB065_C013_32D7_8951,
    "text, a block cursor": 0x8DC3_0C3D_0A48_2A23,
    "mode 04h": 0x277E_1D1A_01AE_FA97,
    "mode 05h": 0x277E_1D1A_01AE_FA97,
    "mode 06h": 0x4E4F_95D4_F23E_88D5,
    "mode 04h, the other palette": 0xDCDD_FC57_B178_86D5,
    "mode 0Dh": 0x762E_0BA5_6C11_8559,
    "mode 0Eh": 0xF824_BB2F_FF8B_2E34,
    "mode 0Fh": 0x9ABA_75C4_6424_A2A8,
    "mode 10h": 0x17E9_1E86_71DB_5BF7,
    "mode 11h": 0x3801_795F_6994_8527,
    "mode 12h": 0x87CB_22DC_6792_7E99,
    "mode 12h, every write mode": 0x56FA_835A_FB2E_067D,
    "mode 0Dh, panned and split": 0xC39E_ED94_87EE_C35F,
    "mode 10h, palette and planes": 0x4B8D_67EA_2AF1_07D8,
    "mode 13h": 0x2051_F371_00CA_FF74,
    "unchained, 320x240": 0xDC1C_0276_CDEF_8B32,
    "unchained, 320x400": 0x014A_7526_CA57_63D7,
    "unchained, 320x480": 0x4CFF_7C43_AF26_9F44,
    "unchained, 360x480": 0xC372_CD79_574C_31E8,
    "unchained, panned and split": 0xDC41_7AFE_DA31_9D3A,
    "unchained, latched copies": 0xE346_E3FE_732B_A855,
    "VBE 101h, 8 bits": 0x87CB_22DC_6792_7E99,
    "VBE 110h, 15 bits": 0x19D7_B677_C4AA_74A0,
    "VBE 111h, 16 bits": 0xCE1C_D443_75C0_58A0,
    "VBE 112h, 24 bits": 0xB5CD_F4C9_71C1_0E35,
    "VBE 102h, planes": 0xCC8F_FC5B_6BE0_A992,
  ]
}
