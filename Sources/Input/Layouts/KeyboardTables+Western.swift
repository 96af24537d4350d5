// Made by scripts/keyboard-layouts.py from Debian's xkeyboard-config 2.35.1-1. Not edited by hand.

extension KeyboardTables {
  static let western: [Row] = [
    Row(
      name: "us", title: "US English",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' \
        < z x c v b n m , . /
        ~ ! @ # $ % ^ & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : " |
        > Z X C V B N M < > ?
        """#),
    Row(
      name: "us-intl", title: "US English with dead keys",
      levels: #"""
        grave 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; acute \
        \ z x c v b n m , . /
        tilde ! @ # $ % circumflex & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : diaeresis |
        | Z X C V B N M < > ?
        ` ¡ ² ³ ¤ € ¼ ½ ¾ ‘ ’ ¥ ×
        ä å é ® þ ü ú í ó ö « »
        á ß ð - - - - œ ø ¶ ' ¬
        - æ - © - - ñ µ ç abovedot ¿
        ~ ¹ doubleacute macron £ cedilla ^ horn ogonek breve abovering belowdot ÷
        Ä Å É ® Þ Ü Ú Í Ó Ö “ ”
        Á § Ð - - - - Œ Ø ° " ¦
        - Æ - ¢ - - Ñ µ Ç caron hook
        """#),
    Row(
      name: "gb", title: "British",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' #
        \ z x c v b n m , . /
        ¬ ! " £ $ % ^ & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : @ ~
        | Z X C V B N M < > ?
        | ¹ ² ³ € ½ ¾ { [ ] } \ cedilla
        @ ſ - ¶ ŧ ← ↓ → ø þ diaeresis tilde
        æ ß ð đ ŋ ħ hook ĸ ł acute circumflex grave
        | « » ¢ „ “ ” µ • · belowdot
        | ¡ ⅛ - ¼ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § - ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "ie", title: "Irish",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' #
        \ z x c v b n m , . /
        ¬ ! " £ $ % ^ & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : @ ~
        | Z X C V B N M < > ?
        ¦ ¡ ™ © € § circumflex ¶ diaeresis ª º – ≠
        œ abovedot é ® þ ¥ ú í ó ‚ “ ‘
        á ß ð ƒ © abovedot ı abovering ´ … æ «
        grave ⟨ × cedilla caron ¨ tilde ¯ ≤ ≥ ÷
        - ¹ ² ³ ¢ † ‰ ⁊ • · ° — ±
        Œ abovedot É ‰ Þ µ Ú Í Ó - ” ’
        Á ẞ Ð - - abovedot ¼ ½ ¾ ‡ Æ »
        acute ⟩ ∼ ¸ - - - - „ ‚ ¿
        """#),
    Row(
      name: "de", title: "German",
      levels: #"""
        circumflex 1 2 3 4 5 6 7 8 9 0 ß acute
        q w e r t z u i o p ü +
        a s d f g h j k l ö ä #
        < y x c v b n m , . \-
        ° ! " § $ % & / ( ) = ? grave
        Q W E R T Z U I O P Ü *
        A S D F G H J K L Ö Ä '
        > Y X C V B N M ; : _
        ′ ¹ ² ³ ¼ ½ ¬ { [ ] } \ cedilla
        @ ſ € ¶ ŧ ← ↓ → ø þ diaeresis ~
        æ ſ ð đ ŋ ħ belowdot ĸ ł doubleacute circumflex ’
        | » « ¢ „ “ ” µ · … –
        ″ ¡ ⅛ £ ¤ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § € ® Ŧ ¥ ↑ ı Ø Þ abovering ¯
        Æ ẞ Ð ª Ŋ Ħ abovedot & Ł belowdot caron breve
        belowmacron › ‹ © ‚ ‘ ’ º × ÷ —
        """#),
    Row(
      name: "at", title: "Austrian",
      levels: #"""
        circumflex 1 2 3 4 5 6 7 8 9 0 ß acute
        q w e r t z u i o p ü +
        a s d f g h j k l ö ä #
        < y x c v b n m , . \-
        ° ! " § $ % & / ( ) = ? grave
        Q W E R T Z U I O P Ü *
        A S D F G H J K L Ö Ä '
        > Y X C V B N M ; : _
        ′ ¹ ² ³ ¼ ½ ¬ { [ ] } \ cedilla
        @ ſ € ¶ ŧ ← ↓ → ø þ diaeresis ~
        æ ſ ð đ ŋ ħ belowdot ĸ ł doubleacute circumflex ’
        | » « ¢ „ “ ” µ · … –
        ″ ¡ ⅛ £ ¤ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § € ® Ŧ ¥ ↑ ı Ø Þ abovering ¯
        Æ ẞ Ð ª Ŋ Ħ abovedot & Ł belowdot caron breve
        belowmacron › ‹ © ‚ ‘ ’ º × ÷ —
        """#),
    Row(
      name: "ch", title: "Swiss German",
      levels: #"""
        § 1 2 3 4 5 6 7 8 9 0 ' circumflex
        q w e r t z u i o p ü diaeresis
        a s d f g h j k l ö ä $
        < y x c v b n m , . \-
        ° + " * ç % & / ( ) = ? grave
        Q W E R T Z U I O P è !
        A S D F G H J K L é à £
        > Y X C V B N M ; : _
        ¬ | @ # ¼ ½ ¬ | ¢ ] } acute tilde
        @ ſ € ¶ ŧ ← ↓ → œ þ [ ]
        æ ß ð đ ŋ ħ hook ĸ ł acute { }
        \ « » ¢ „ “ ” µ • · belowdot
        ¬ ¡ ⅛ £ $ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § - ® Ŧ ¥ ↑ ı Œ Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "ch-fr", title: "Swiss French",
      levels: #"""
        § 1 2 3 4 5 6 7 8 9 0 ' circumflex
        q w e r t z u i o p è diaeresis
        a s d f g h j k l é à $
        < y x c v b n m , . \-
        ° + " * ç % & / ( ) = ? grave
        Q W E R T Z U I O P ü !
        A S D F G H J K L ö ä £
        > Y X C V B N M ; : _
        ¬ | @ # ¼ ½ ¬ | ¢ ] } acute tilde
        @ ſ € ¶ ŧ ← ↓ → œ þ [ ]
        æ ß ð đ ŋ ħ hook ĸ ł acute { }
        \ « » ¢ „ “ ” µ • · belowdot
        ¬ ¡ ⅛ £ $ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § - ® Ŧ ¥ ↑ ı Œ Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "fr", title: "French",
      levels: #"""
        ² & é " ' ( \- è _ ç à ) =
        a z e r t y u i o p circumflex $
        q s d f g h j k l m ù *
        < w x c v b n , ; : !
        ~ 1 2 3 4 5 6 7 8 9 0 ° +
        A Z E R T Y U I O P diaeresis £
        Q S D F G H J K L M % µ
        > W X C V B N ? . / §
        ¬ ¹ ~ # { [ | ` \ ^ @ ] }
        æ « € ¶ ŧ ← ↓ → ø þ diaeresis ¤
        @ ß ð đ ŋ ħ hook ĸ ł µ circumflex grave
        | ł » ¢ „ “ ” acute • · belowdot
        ¬ ¡ ⅛ £ $ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Æ < ¢ ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Ω ẞ Ð ª Ŋ Ħ horn & Ł º caron breve
        ¦ Ł > © ‚ ‘ ’ doubleacute × ÷ abovedot
        """#),
    Row(
      name: "be", title: "Belgian",
      levels: #"""
        ² & é " ' ( § è ! ç à ) \-
        a z e r t y u i o p circumflex $
        q s d f g h j k l m ù µ
        < w x c v b n , ; : =
        ³ 1 2 3 4 5 6 7 8 9 0 ° _
        A Z E R T Y U I O P diaeresis *
        Q S D F G H J K L M % £
        > W X C V B N ? . / +
        ¬ | @ # ¼ ½ ^ { [ { } \ cedilla
        @ ſ € ¶ ŧ ← ↓ → œ þ [ ]
        æ ß ð đ ŋ ħ hook ĸ ł acute acute grave
        \ « » ¢ „ “ ” cedilla • · tilde
        ¬ ¡ ⅛ £ $ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § ¢ ® Ŧ ¥ ↑ ı Œ Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        \ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "nl", title: "Dutch",
      levels: #"""
        @ 1 2 3 4 5 6 7 8 9 0 / °
        q w e r t y u i o p diaeresis *
        a s d f g h j k l + acute <
        ] z x c v b n m , . \-
        § ! " # $ % & _ ( ) ' ? tilde
        Q W E R T Y U I O P circumflex |
        A S D F G H J K L ± grave >
        [ Z X C V B N M ; : =
        ¬ ¹ ² ³ ¼ ½ ¾ £ { } ° \ cedilla
        @ ſ € ¶ þ ÿ ü ï ò ¶ ~ tilde
        á ß ð ª ŋ ħ hook ĸ ł acute ' grave
        | « » ¢ “ ” ñ μ ¸ ·
        ¬ ¡ ⅛ £ - ⅜ ⅝ ⅞ [ ] ™ ¿ ogonek
        Ω § ¢ ® Þ ¥ Ü Ï Ò Þ ^ macron
        Á ẞ Ð ª Ŋ Ħ horn & Ł doubleacute ` breve
        ¦ < > © ‘ ’ Ñ º « » abovedot
        """#),
    Row(
      name: "es", title: "Spanish",
      levels: #"""
        º 1 2 3 4 5 6 7 8 9 0 ' ¡
        q w e r t y u i o p grave +
        a s d f g h j k l ñ acute ç
        < z x c v b n m , . \-
        ª ! " · $ % & / ( ) = ? ¿
        Q W E R T Y U I O P circumflex *
        A S D F G H J K L Ñ diaeresis Ç
        > Z X C V B N M ; : _
        \ | @ # ~ ½ ¬ { [ ] } \ cedilla
        @ ſ € ¶ ŧ ← ↓ → ø þ [ ]
        æ ß ð đ ŋ ħ hook ĸ ł tilde { }
        | « » ¢ „ “ ” µ • · belowdot
        \ ¡ ⅛ £ - ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § ¢ ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "latam", title: "Latin American Spanish",
      levels: #"""
        | 1 2 3 4 5 6 7 8 9 0 ' ¿
        q w e r t y u i o p acute +
        a s d f g h j k l ñ { }
        < z x c v b n m , . \-
        ° ! " # $ % & / ( ) = ? ¡
        Q W E R T Y U I O P diaeresis *
        A S D F G H J K L Ñ [ ]
        > Z X C V B N M ; : _
        ¬ | @ · ~ ½ ¬ { [ ] } \ cedilla
        @ ſ € ¶ ŧ ← ↓ → ø þ diaeresis ~
        æ ß ð đ ŋ ħ hook ĸ ł ~ circumflex grave
        \ « » ¢ „ “ ” µ • · belowdot
        ¬ ¡ ⅛ £ - ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § ¢ ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute { }
        | < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "pt", title: "Portuguese",
      levels: #"""
        \ 1 2 3 4 5 6 7 8 9 0 ' «
        q w e r t y u i o p + acute
        a s d f g h j k l ç º tilde
        < z x c v b n m , . \-
        | ! " # $ % & / ( ) = ? »
        Q W E R T Y U I O P * grave
        A S D F G H J K L Ç ª circumflex
        > Z X C V B N M ; : _
        ¬ ¹ @ £ § ½ ¬ { [ ] } \ cedilla
        @ ſ € ¶ ŧ ← ↓ → ø þ diaeresis tilde
        æ ß ð đ ŋ ħ hook ĸ ł acute circumflex grave
        \ « » ¢ „ “ ” µ • · belowdot
        ¬ ¡ ⅛ £ - ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § ¢ ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        \ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "br", title: "Brazilian",
      levels: #"""
        ' 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p acute [
        a s d f g h j k l ç tilde ]
        \ z x c v b n m , . ; /
        " ! @ # $ % diaeresis & * ( ) _ +
        Q W E R T Y U I O P grave {
        A S D F G H J K L Ç circumflex }
        | Z X C V B N M < > : ?
        ¬ ¹ ² ³ £ ¢ ¬ { [ ] } \ §
        / ? ° ® ŧ ← ↓ → ø þ ´ ª
        æ ß ð đ ŋ ħ hook ĸ ł acute ~ º
        caron « » © „ “ ” µ • · belowdot °
        ¬ ¡ ½ ¾ ¼ ⅜ ¨ ⅞ ™ ± ° ¿ ogonek
        / ? ° ® Ŧ ¥ ↑ ı Ø Þ ` macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute ^ º
        breve < > © ‚ ‘ ’ µ × ÷ abovedot ¿
        """#),
    Row(
      name: "it", title: "Italian",
      levels: #"""
        \ 1 2 3 4 5 6 7 8 9 0 ' ì
        q w e r t y u i o p è +
        a s d f g h j k l ò à ù
        < z x c v b n m , . \-
        | ! " £ $ % & / ( ) = ? ^
        Q W E R T Y U I O P é *
        A S D F G H J K L ç ° §
        > Z X C V B N M ; : _
        ¬ ¹ ² ³ ¼ ½ ¬ { [ ] } ` ~
        @ ſ € ¶ ŧ ← ↓ → ø þ [ ]
        æ ß ð đ ŋ ħ hook ĸ ł @ # grave
        « « » ¢ “ ” ñ µ acute · macron
        ¦ ¡ doubleacute tilde ⅛ ⅜ ⅝ ⅞ ™ ± ogonek ¿ circumflex
        Ω § ¢ ® Ŧ ¥ ↑ ı Ø Þ { }
        Æ ẞ Ð ª Ŋ Ħ horn & Ł cedilla abovering breve
        » < > © ‘ ’ Ñ º × diaeresis ÷
        """#),
    Row(
      name: "ca", title: "Canadian French",
      levels: #"""
        # 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p circumflex cedilla
        a s d f g h j k l ; grave <
        « z x c v b n m , . é
        | ! " / $ % ? & * ( ) _ +
        Q W E R T Y U I O P circumflex diaeresis
        A S D F G H J K L : grave >
        » Z X C V B N M ' . É
        \ ± @ £ ¢ ¤ ¬ ¦ ² ³ ¼ ½ ¾
        - - - - - - - - § ¶ [ ]
        - - - - - - - - - ~ { }
        ° - - - - - - µ ¯ - acute



        ¦
        """#),
    Row(
      name: "dvorak", title: "Dvorak",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 [ ]
        ' , . p y f g c r l / =
        a o e u i d h t n s \- \
        < ; q j k x b m w v z
        ~ ! @ # $ % ^ & * ( ) { }
        " < > P Y F G C R L ? +
        A O E U I D H T N S _ |
        > : Q J K X B M W V Z
        """#),
    Row(
      name: "colemak", title: "Colemak",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w f p g j l u y ; [ ]
        a r s t d h n e i o ' \
        \- z x c v b k m , . /
        ~ ! @ # $ % ^ & * ( ) _ +
        Q W F P G J L U Y : { }
        A R S T D H N E I O " |
        _ Z X C V B K M < > ?
        tilde ¡ º ª ¢ € ħ ð þ ‘ ’ – ×
        ä å ã ø ogonek đ ł ú ü ö « »
        á grave ß acute diaeresis caron ñ é í ó õ ~
        – æ circumflex ç œ breve abovering macron cedilla abovedot ¿
        - ¹ ² ³ £ ¥ Ħ Ð Þ “ ” — ÷
        Ä Å Ã Ø ~ Đ Ł Ú Ü Ö ‹ ›
        Á ~ ẞ doubleacute ~ ~ Ñ É Í Ó Õ ~
        — Æ ~ Ç Œ ~ ~ ~ ~ ~ ~
        """#),
  ]
}
