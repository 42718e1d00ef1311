// Line icons, 20 px, in the text's colour.
const draw = (path) =>
  function Icon({ size = 18 }) {
    return (
      <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
        {path}
      </svg>
    );
  };

export const Hash = draw(<path d="M7.5 3 6 17M14 3l-1.5 14M3.5 7.500h14M2.5 12.500h14" />);
export const Lock = draw(<><rect x="4" y="9" width="12" height="8" rx="1.5" /><path d="M6.5 9V6.500a3.5 3.5 0 0 1 7 0V9" /></>);
export const Reply = draw(<path d="M3 4.500h14v9H9l-4 3v-3H3z" />);
export const Smile = draw(<><circle cx="10" cy="10" r="7" /><path d="M7 12c1.5 2 4.5 2 6 0M7.5 8h.01M12.5 8h.01" /></>);
export const More = draw(<path d="M10 4.500h.01M10 10h.01M10 15.500h.01" strokeWidth="2.6" />);
export const Close = draw(<path d="m5 5 10 10M15 5 5 15" />);
export const Send = draw(<path d="m3 3.5 14 6.5-14 6.5 2-6.500zM5 10h6" />);
export const Clip = draw(<path d="m14.5 8.5-5.3 5.3a2.3 2.3 0 0 1-3.3-3.3l6-6a3.400 3.400 0 0 1 4.800 4.800l-6.200 6.200" />);
export const Bold = draw(<path d="M6 4h5a3 3 0 0 1 0 6H6zM6 10h6a3 3 0 0 1 0 6H6z" strokeWidth="2" />);
export const Italic = draw(<path d="M12.5 4h-4M11.5 16h-4M11 4 9 16" />);
export const Strike = draw(<path d="M4 10h12M13.5 6.500C13 4.800 11.700 4 10 4c-2 0-3.5 1-3.5 2.700 0 1 .5 1.800 1.400 2.3M6.5 13.500C7 15.200 8.3 16 10 16c2 0 3.5-1 3.5-2.700 0-.5-.1-1-.4-1.3" />);
export const Code = draw(<path d="m7 6-4 4 4 4M13 6l4 4-4 4" />);
export const Sun = draw(<><circle cx="10" cy="10" r="3.3" /><path d="M10 2.500v1.500M10 16v1.500M2.5 10H4M16 10h1.500M4.700 4.700l1 1M14.3 14.3l1 1M4.700 15.3l1-1M14.3 5.700l1-1" /></>);
export const Moon = draw(<path d="M16 12.200A6.600 6.600 0 0 1 7.800 4 6.600 6.600 0 1 0 16 12.200z" />);
export const Back = draw(<path d="M12.5 4 6.5 10l6 6" />);
export const Down = draw(<path d="m5 7.5 5 5 5-5" />);
export const File = draw(<><path d="M5 2.500h6.500L15 6v11.500H5z" /><path d="M11 2.500V6.500h4" /></>);
export const Stop = draw(<rect x="5.5" y="5.5" width="9" height="9" rx="1.5" fill="currentColor" />);
export const Bolt = draw(<path d="M11 2.5 4.5 11.500H9.500L9 17.500l6.5-9h-5z" />);
export const Eye = draw(<><path d="M2 10c2-3.700 4.700-5.5 8-5.500s6 1.800 8 5.500c-2 3.700-4.700 5.5-8 5.500S4 13.700 2 10z" /><circle cx="10" cy="10" r="2.3" /></>);
export const Check = draw(<path d="m4.5 10.5 3.5 3.5 7.5-8" />);
