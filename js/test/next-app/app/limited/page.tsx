export default function Page() {
  return <p>limited</p>;
}
